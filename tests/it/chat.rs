//! Conversations: piped, kept and gone on with, and stopped on a terminal.

use std::io::{Read, Write};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use serde_json::Value;
use wellread::answer::conversation::Turn;
use wellread::answer::{Answer, Said, Timings};
use wellread::base::{Cancel, Event, Filter, Watch};
use wellread::engine::settings::{Config, Places};
use wellread::engine::{KnowledgeBase, Question};

use crate::support::{Ran, Wellread, is_valid, models_cache, sample_feed};

/// The sample feed, added.
fn sample() -> Wellread {
    let wellread = Wellread::small();
    wellread.succeeds(&["add", &sample_feed()]);
    wellread
}

fn objects(ran: &Ran) -> Vec<Value> {
    ran.stdout.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect()
}

fn texts<'a>(objects: &'a [Value], field: &str) -> Vec<&'a str> {
    objects.iter().map(|object| object[field].as_str().unwrap_or_default()).collect()
}

#[test]
fn follow_ups_are_understood_kept_gone_on_with_and_deleted() {
    let wellread = sample();
    let input = "What is the steaming chest built of?\nHow is it fed?\n\
                 And how many minutes must a rib stay in there?\nWhat did the hull weigh?\n";
    let ran = wellread.run_with_input(&["chat"], input.as_bytes());
    assert!(matches!(ran.code, Some(0 | 1)), "{}\n{}", ran.stdout, ran.stderr);
    let answers = objects(&ran);
    answers.iter().for_each(|answer| is_valid("ask", answer));
    assert_eq!(
        texts(&answers, "standalone"),
        [
            "",
            "How is the steaming chest fed?",
            "How many minutes must a rib stay in the steaming chest?",
            ""
        ]
    );
    assert_eq!(texts(&answers, "question")[1], "How is it fed?");
    let ids: Vec<i64> = answers.iter().filter_map(|answer| answer["id"].as_i64()).collect();
    assert!(ids.len() == 4 && ids.is_sorted(), "{ids:?}");

    let kept = wellread.json(&["chat", "--sessions"]);
    is_valid("conversations", &kept);
    let kept = &kept["conversations"];
    assert_eq!(kept[0]["first"], "What is the steaming chest built of?");
    assert_eq!((kept[0]["answers"].as_i64(), kept.as_array().map(Vec::len)), (Some(4), Some(1)));
    let id = kept[0]["id"].to_string();

    // It goes on where it was, and in the same place.
    let ran =
        wellread.run_with_input(&["chat", "--quotes", "--resume", &id], b"And what does it cost?");
    assert_eq!(texts(&objects(&ran), "standalone"), ["What does the hull cost?"]);
    let shown = wellread.succeeds(&["chat", "--sessions"]);
    assert!(shown.contains("5 questions: What is the steaming chest built of?"), "{shown}");

    wellread.succeeds(&["chat", "--delete", &id]);
    assert!(wellread.succeeds(&["chat", "--sessions"]).contains("No conversations"));
    wellread.fails(&["chat", "--delete", &id], "there is no conversation");
    wellread.fails(&["chat", "--resume", &id], "there is no conversation");
}

#[test]
fn a_line_that_can_not_be_asked_is_an_error_in_its_place() {
    let wellread = sample();
    let mut input = b"What did the hull weigh?\n\n  \nno\xfftext\n".to_vec();
    input.extend(vec![b'x'; 1_000_000]);
    input.extend_from_slice("\nHow did they turn it over?\r\n".as_bytes());
    let ran = wellread.run_with_input(&["chat", "--quotes"], &input);
    assert_eq!(ran.code, Some(2), "{}", ran.stderr);
    let lines = objects(&ran);
    assert_eq!(lines.len(), 4, "{}", ran.stdout);
    for at in [0, 3] {
        is_valid("ask", &lines[at]);
    }
    for (at, said) in [(1, "not text"), (2, "1000000 bytes")] {
        is_valid("failed", &lines[at]);
        assert!(lines[at]["error"].as_str().unwrap().contains(said), "{}", lines[at]);
    }
    assert!(lines[2]["question"].as_str().unwrap().len() <= 200);
    assert_eq!(texts(&lines, "standalone")[3], "How did they turn the hull over?");

    let ran = wellread.run_with_input(&["chat", "--quotes"], b"\n\n");
    ran.is_clear_error("no question on standard input");
    // What fails of all questions is said of each.
    let empty = Wellread::small();
    let ran = empty.run_with_input(&["chat", "--quotes"], b"What?\nWhy?\n");
    assert_eq!(ran.code, Some(2));
    let lines = objects(&ran);
    assert_eq!(texts(&lines, "question"), ["What?", "Why?"]);
    assert!(
        lines.iter().all(|line| line["error"] == "there are no articles yet"),
        "{}",
        ran.stdout
    );
}

#[test]
fn ask_with_several_lines_is_a_conversation_and_with_one_is_not() {
    let wellread = sample();
    let several = b"What did the hull weigh?\nWhat did it cost?\n";
    let ran = wellread.run_with_input(&["ask", "--quotes", "-"], several);
    assert_eq!(texts(&objects(&ran), "standalone"), ["", "What did the hull cost?"]);
    let chat = wellread.run_with_input(&["chat", "--quotes"], several);
    let untimed = |ran: &Ran| -> Vec<Value> {
        let mut all = objects(ran);
        all.iter_mut().for_each(|one| {
            one["timings"].take();
            one["id"].take();
        });
        all
    };
    assert_eq!(untimed(&ran), untimed(&chat));
    let ran = wellread.run_with_input(&["ask", "--quotes", "-"], b"\nWhat did the hull weigh?\n\n");
    assert!(ran.code == Some(0) && !ran.stdout.starts_with('{'), "{}", ran.stdout);
}

/// What is typed and shown on a terminal of `script`.
struct Terminal {
    child: std::process::Child,
    shown: mpsc::Receiver<Vec<u8>>,
    seen: String,
}

impl Terminal {
    fn of(wellread: &Wellread, args: &str) -> Terminal {
        // A shell that stays in between would die of the Ctrl-C.
        Terminal::running(wellread, &format!("exec {} {args}", env!("CARGO_BIN_EXE_wellread")))
    }

    /// With a line of a shell's.
    fn running(wellread: &Wellread, line: &str) -> Terminal {
        let template = wellread.command(&[]);
        let mut command = Command::new("script");
        command.args(["-qefc", line, "/dev/null"]).env_clear().current_dir(wellread.dir.path());
        command.envs(template.get_envs().filter_map(|(key, value)| Some((key, value?))));
        command.env("TERM", "xterm").env("SHELL", "/bin/sh");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit());
        let mut child = command.spawn().expect("script (util-linux) runs");
        let mut output = child.stdout.take().expect("stdout is piped");
        let (send, shown) = mpsc::channel();
        std::thread::spawn(move || {
            let mut block = [0; 1024];
            while let Ok(n @ 1..) = output.read(&mut block) {
                let _ = send.send(block[..n].to_vec());
            }
        });
        Terminal { child, shown, seen: String::new() }
    }

    fn types(&mut self, keys: &str) {
        let input = self.child.stdin.as_mut().expect("stdin is piped");
        input.write_all(keys.as_bytes()).and_then(|()| input.flush()).expect("it is typed");
    }

    /// Waits until something is shown that was not before; gives back what came with it.
    #[track_caller]
    fn shows(&mut self, mark: &str) -> String {
        let end = Instant::now() + Duration::from_secs(90);
        loop {
            if let Some(at) = self.seen.find(mark) {
                let rest = self.seen.split_off(at + mark.len());
                return std::mem::replace(&mut self.seen, rest);
            }
            let left = end.saturating_duration_since(Instant::now());
            match self.shown.recv_timeout(left) {
                Ok(block) => self.seen.push_str(&String::from_utf8_lossy(&block)),
                Err(_) => panic!("{mark:?} was not shown in: {}", self.seen),
            }
        }
    }

    /// Waits until the program has ended, for a minute at most.
    #[track_caller]
    fn ends(&mut self) -> std::process::ExitStatus {
        // `wait` would close its input, which `script` takes for a reason to end the program.
        let start = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(start.elapsed() < Duration::from_secs(60), "it goes on");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// The last of the processes that a process has begun, and these in turn.
#[cfg(target_os = "linux")]
fn innermost(process: u32) -> u32 {
    let children = std::fs::read_to_string(format!("/proc/{process}/task/{process}/children"));
    match children.unwrap_or_default().split_whitespace().next() {
        Some(child) => innermost(child.parse().unwrap()),
        None => process,
    }
}

#[cfg(target_os = "linux")]
#[test]
fn sigterm_at_the_prompt_leaves_the_terminal_as_it_was() {
    let wellread = sample();
    let line = format!(
        "{} chat --color never; echo It ended with $?.; stty -a; echo That is all.",
        env!("CARGO_BIN_EXE_wellread")
    );
    let mut terminal = Terminal::running(&wellread, &line);
    terminal.shows("> ");
    // A line is being edited.
    terminal.types("How");
    terminal.shows("How");
    let process = innermost(terminal.child.id()).to_string();
    assert!(Command::new("kill").args(["-TERM", &process]).status().unwrap().success());
    let end = terminal.shows("It ended with 130.");
    assert!(end.contains("\x1b[?2004l"), "what is pasted stays marked: {end:?}");
    let set = terminal.shows("That is all.");
    for mode in ["icanon", "echo", "isig"] {
        assert!(set.split_whitespace().any(|word| word == mode), "{mode} is off: {set}");
    }
    assert_eq!(terminal.ends().code(), Some(0));
}

#[cfg(target_os = "linux")]
#[test]
fn sigterm_in_an_answer_ends_the_conversation() {
    let wellread = sample();
    let mut terminal = Terminal::of(&wellread, "chat --color never");
    terminal.shows("> ");
    terminal.types("How long did the planking take?\r");
    terminal.shows("“");
    let process = innermost(terminal.child.id()).to_string();
    let status = Command::new("kill").args(["-TERM", &process]).status().unwrap();
    assert!(status.success());
    assert_eq!(terminal.ends().code(), Some(130));
}

#[test]
fn ctrl_c_stops_the_answer_and_not_the_conversation() {
    let wellread = sample();
    let saved = wellread.dir.path().join("chat.txt");
    let mut terminal = Terminal::of(&wellread, "chat --color never");
    terminal.shows("> ");
    terminal.types("How long did the planking take?\r");
    // The quotes stand there before the LLM has read.
    terminal.shows("“");
    terminal.types("\x03");
    terminal.shows("Stopped.");
    terminal.shows("> ");
    terminal.types("/quotes\r");
    terminal.shows("the LLM is not asked");
    terminal.types("/filter sicne=2025-01-01\r");
    terminal.shows("did you mean since=");
    terminal.types("/filter author=Nobody\r");
    terminal.shows("there is no author");
    terminal.types("What did the hull weigh?\r");
    terminal.shows("[1] ");
    terminal.types("What did it cost?\r");
    terminal.shows("→ What did the hull cost?");
    terminal.types("/why\r");
    terminal.shows("signals: cosine");
    terminal.types("1\r");
    terminal.shows(" › ");
    terminal.types("/save chat.txt\r");
    terminal.shows("Saved to chat.txt");
    terminal.types("/sessions\r");
    terminal.shows("2 questions: What did the hull weigh?");
    // The keys of a prompt are typed once it is there.
    terminal.shows("> ");
    terminal.types("\x03");
    terminal.shows("Ctrl-D or /quit leaves");
    terminal.shows("> ");
    terminal.types("/quit\r");
    assert_eq!(terminal.ends().code(), Some(0));
    let text = std::fs::read_to_string(saved).unwrap();
    assert!(text.contains("> What did it cost?\n→ What did the hull cost?"), "{text}");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let history = std::fs::metadata(wellread.data().join("chat_history")).unwrap();
        assert_eq!(history.permissions().mode() & 0o077, 0);
    }
}

#[test]
fn ctrl_c_in_a_pager_is_meant_for_the_pager() {
    // As `less` does, it goes on.
    let pager = "trap '' INT; cat; echo The pager has begun.; read line < /dev/tty; echo It ends.";
    let wellread = sample().env("PAGER", pager);
    let mut terminal = Terminal::of(&wellread, "chat --quotes --color never");
    terminal.shows("> ");
    terminal.types("What did the hull weigh?\r");
    terminal.shows("[1] ");
    terminal.types("1\r");
    terminal.shows("The pager has begun.");
    for _ in 0..2 {
        terminal.types("\x03");
        std::thread::sleep(Duration::from_millis(300));
    }
    terminal.types("\r");
    terminal.shows("It ends.");
    terminal.shows("> ");
    terminal.types("/quit\r");
    assert_eq!(terminal.ends().code(), Some(0));
}

fn untimed(answer: Answer) -> Answer {
    Answer { timings: Timings::default(), ..answer }
}

#[test]
fn a_question_without_turns_is_asked_as_any() {
    let wellread = sample();
    let mut config = Config::default();
    config.models.generator = "smollm2-135m-instruct".into();
    let kb = KnowledgeBase::new(config, Places { data: wellread.data(), cache: models_cache() });
    let (events, cancel, filter) = (|_: Event| {}, Cancel::default(), Filter::default());
    let watch = Watch { events: &events, cancel: &cancel };
    let question = |text| Question { text, filter: &filter, sources: &[] };
    let first = question("What is the steaming chest built of?");
    let mut told = [Vec::new(), Vec::new()];
    let alone = kb.ask(&first, &watch, &mut |said| {
        told[0].push(format!("{said:?}"));
        Ok(())
    });
    let within = kb.ask_in(&first, &[], &watch, &mut |said| {
        told[1].push(format!("{said:?}"));
        Ok(())
    });
    let alone = untimed(alone.unwrap());
    assert_eq!(alone, untimed(within.unwrap()));
    assert_eq!(told[0], told[1]);
    let quoted = kb.quote(&first, &watch).unwrap();
    assert_eq!(untimed(quoted), untimed(kb.quote_in(&first, &[], &watch).unwrap()));

    // With turns it is said first what is searched for, and answered as that is when it is asked.
    let turns = [Turn { seen: Vec::new(), ..Turn::of(first.text, &alone) }];
    let mut first_said = None;
    let follow_up = kb.ask_in(&question("How is it fed?"), &turns, &watch, &mut |said| {
        first_said.get_or_insert_with(|| match said {
            Said::Standalone(text) => text.to_owned(),
            other => format!("{other:?}"),
        });
        Ok(())
    });
    let follow_up = untimed(follow_up.unwrap());
    assert_eq!(first_said.as_deref(), Some("How is the steaming chest fed?"));
    assert_eq!(follow_up.standalone, first_said);
    let plain = kb.ask(&question("How is the steaming chest fed?"), &watch, &mut |_| Ok(()));
    assert_eq!(Answer { standalone: None, ..follow_up }, untimed(plain.unwrap()));
}
