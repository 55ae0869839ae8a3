//! Backups: restored elsewhere, damaged, and made to harm.

use std::io::Read;

use crate::index::hits;
use crate::support::*;

#[test]
fn a_backup_restored_elsewhere_gives_the_same_hits() {
    let wellread = Wellread::small();
    wellread.succeeds(&["add", &sample_feed()]);
    let backup = wellread.dir.path().join("kept.zip").display().to_string();
    wellread.succeeds(&["index", "backup", &backup]);
    wellread.fails(&["index", "backup", &backup], "already exists");
    wellread.fails(&["index", "restore", &backup], "already exists");

    let other = Wellread::small();
    other.succeeds(&["index", "restore", &backup]);
    for query in ["how long does the glue harden", "what did the engine cost", "steam"] {
        assert_eq!(hits(&other, query), hits(&wellread, query));
    }
    assert_eq!(other.json(&["index", "verify"])["damaged"], serde_json::json!([]));
    assert_eq!(other.json(&["articles"]), wellread.json(&["articles"]));
    other.succeeds(&["index", "rebuild"]);

    // Damaged anywhere, cut anywhere, or made to write elsewhere: refused, and nothing is left.
    let bytes = std::fs::read(&backup).unwrap();
    let damage = |name: &str, bytes: &[u8]| {
        let third = Wellread::small();
        let path = third.file(name, bytes);
        third.fails(&["index", "restore", &path], "backup");
        nothing_is_there(&third);
    };
    let mut refused = 0;
    for share in [2, 3, 5, 20] {
        let at = bytes.len() / share;
        damage("cut.zip", &bytes[..at]);
        let mut flipped = bytes.clone();
        flipped[at] ^= 0x55;
        let third = Wellread::small();
        let path = third.file("flipped.zip", &flipped);
        let ran = third.run(&["index", "restore", &path]);
        if ran.code == Some(0) {
            // It was a byte that says nothing, as that of a file's date.
            assert_eq!(hits(&third, "steam"), hits(&wellread, "steam"));
        } else {
            ran.is_clear_error("backup");
            refused += 1;
        }
    }
    assert!(refused > 0);
    // A list without end, and an entry that is larger than the list says.
    let endless = format!("{{\"format\":1,\"version\":\"{}\"", "x".repeat(33 << 20));
    damage("endless.zip", &crate::read::zip_of(&[("backup.json", endless.as_bytes())]));
    let list = |path: &str| {
        format!(
            "{{\"format\":1,\"version\":\"0\",\"created\":\"2025-01-01T00:00:00Z\",\
             \"generation\":null,\"files\":[{{\"path\":\"{path}\",\"bytes\":1,\"sha256\":\"00\"}}]}}"
        )
    };
    for path in ["../out", "/tmp/out", "index/../../out", "elsewhere"] {
        let zip = crate::read::zip_of(&[(path, b"x"), ("backup.json", list(path).as_bytes())]);
        damage("leads-out.zip", &zip);
    }
    let larger =
        [("library.sqlite", &b"more"[..]), ("backup.json", &list("library.sqlite").into_bytes())];
    damage("larger.zip", &crate::read::zip_of(&larger));
}

#[track_caller]
fn nothing_is_there(wellread: &Wellread) {
    let left: Vec<_> = std::fs::read_dir(wellread.data())
        .map(|entries| entries.flatten().map(|entry| entry.path()).collect())
        .unwrap_or_default();
    assert!(left.is_empty(), "{left:?}");
}

/// The library of a backup as one of its own, whose list has so many bytes, most of them spaces.
fn with_list_of(backup: &[u8], bytes: usize) -> Vec<u8> {
    const LIBRARY: &str = "library.sqlite";
    let mut zip = zip::ZipArchive::new(std::io::Cursor::new(backup)).unwrap();
    let mut unpacked = |name: &str| {
        let mut bytes = Vec::new();
        zip.by_name(name).unwrap().read_to_end(&mut bytes).unwrap();
        bytes
    };
    let library = unpacked(LIBRARY);
    let mut list: serde_json::Value = serde_json::from_slice(&unpacked("backup.json")).unwrap();
    list["generation"] = serde_json::Value::Null;
    list["files"].as_array_mut().unwrap().retain(|file| file["path"] == LIBRARY);
    let mut list = list.to_string().into_bytes();
    list.resize(bytes, b' ');
    crate::read::zip_of(&[(LIBRARY, &library[..]), ("backup.json", &list[..])])
}

/// A sound list is read up to its limit, and no further though only spaces follow.
#[test]
fn a_backup_with_too_long_a_list_is_refused() {
    const MOST: usize = 32 << 20;
    let wellread = Wellread::new();
    let path = wellread.file("feed.xml", feed(&item(1, "Keel", "<p>The glue needs an hour.</p>")));
    wellread.succeeds(&["add", &path]);
    let backup = wellread.dir.path().join("kept.zip").display().to_string();
    wellread.succeeds(&["index", "backup", &backup]);
    let backup = std::fs::read(&backup).unwrap();

    let restored = Wellread::new();
    let path = restored.file("longest.zip", with_list_of(&backup, MOST));
    restored.succeeds(&["index", "restore", &path]);
    assert_eq!(restored.json(&["articles"]), wellread.json(&["articles"]));

    let refused = Wellread::new();
    let longer = with_list_of(&backup, MOST + 1);
    assert!(longer.len() < 1 << 20, "{}", longer.len());
    let path = refused.file("longer.zip", longer);
    refused.fails(&["index", "restore", &path], "backup.json has more than 32 MB");
    nothing_is_there(&refused);
}
