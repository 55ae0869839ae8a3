//! What every command says of itself.

use crate::support::Wellread;

/// The help of a command and of all below it.
fn help(wellread: &Wellread, path: &[&str], out: &mut String) {
    let said = wellread.succeeds(&[path, &["--help"]].concat());
    out.push_str(&format!(
        "$ wellread {}--help\n{said}\n",
        path.iter().map(|part| format!("{part} ")).collect::<String>()
    ));
    let Some((_, commands)) = said.split_once("Commands:\n") else { return };
    let names = commands.lines().take_while(|line| !line.is_empty()).filter_map(|line| {
        // What goes on from the line before is further in.
        let name = line.strip_prefix("  ")?.split(' ').next()?;
        (!name.is_empty() && name != "help").then_some(name)
    });
    for name in names {
        help(wellread, &[path, &[name]].concat(), out);
    }
}

#[test]
fn every_command_says_what_it_does() {
    let mut all = String::new();
    help(&Wellread::new().env("COLUMNS", "100"), &[], &mut all);
    for command in
        ["$ wellread --help", "$ wellread eval run --help", "$ wellread index push --help"]
    {
        assert!(all.contains(command), "{command} is missing");
    }
    insta::assert_snapshot!(all);
}
