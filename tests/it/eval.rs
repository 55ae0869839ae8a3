//! Evaluation on the real binary: gates, runs that are broken off, bad sets, and the metrics beside
//! a reference implementation.

use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::support::*;

fn sample_set() -> String {
    project("eval/sample/questions.jsonl").display().to_string()
}

fn thresholds() -> String {
    project("eval/thresholds.toml").display().to_string()
}

fn summary(run: &Value) -> Vec<u8> {
    let folder = std::path::Path::new(run["run"].as_str().unwrap());
    std::fs::read(folder.join("summary.json")).unwrap()
}

#[test]
fn the_question_sets_are_of_their_schema() {
    for set in [
        "eval/sample/questions.jsonl",
        "eval/grokking-tech-career.jsonl",
        "eval/hard/realfeeds.jsonl",
    ] {
        for line in std::fs::read_to_string(project(set)).unwrap().lines() {
            is_valid("question", &serde_json::from_str(line).unwrap());
        }
    }
}

#[test]
fn the_real_sets_gold_stands_in_the_real_feed() {
    let Some(feed) = shared("articles/feed.xml") else { return };
    let wellread = Wellread::new();
    let set = project("eval/grokking-tech-career.jsonl").display().to_string();
    wellread.succeeds(&["eval", "check", &set, "--source", &feed.display().to_string()]);
}

#[test]
fn the_sample_set_passes_its_gate_and_a_higher_one_not() {
    let wellread = Wellread::new();
    let (set, feed, gate) = (sample_set(), sample_feed(), thresholds());
    let run = ["eval", "run", &set, "--source", &feed, "--retrieval-only", "--gate"];
    let done = wellread.json(&[&run[..], &[&gate]].concat());
    assert_eq!(done["missed"], serde_json::json!([]));
    assert_eq!(done["summary"]["questions"], 30);
    let page = std::path::Path::new(done["run"].as_str().unwrap()).join("report.html");
    let page = std::fs::read_to_string(page).unwrap();
    for outside in ["src=", "href=", "@import", "url("] {
        assert!(!page.contains(outside), "the report reaches outside: {outside}");
    }
    assert_eq!(page.matches("<svg").count(), 4);

    // It is for all questions of the set, not for some.
    wellread.fails(&[&run[..], &[&gate, "--limit", "3"]].concat(), "the gate is for all questions");
    let dev = wellread.file("dev.toml", "[questions]\nsplit = \"dev\"\n\"section hit@1\" = 0.1\n");
    wellread.fails(&[&run[..], &[&dev]].concat(), "the split dev of questions");

    let high = wellread.file("high.toml", "[questions]\n\"section hit@1\" = 0.999\n");
    let ran = wellread.run(&[&run[..], &[&high]].concat());
    assert_eq!(ran.code, Some(1), "{}", ran.stderr);
    assert!(ran.stderr.contains("section hit@1 is 0."), "{}", ran.stderr);
}

#[test]
fn a_run_killed_again_and_again_ends_with_the_same_summary() {
    let wellread = Wellread::new();
    let (set, feed) = (sample_set(), sample_feed());
    let run = ["--json", "eval", "run", &set, "--source", &feed, "--retrieval-only"];
    let whole: Value = serde_json::from_str(&wellread.succeeds(&run)).unwrap();
    // Another setting, so that it is another run; its reference is made last.
    let other = [&run[..], &["--set", "retrieval.candidates=40"]].concat();
    let mut random = fastrand::Rng::with_seed(7);
    let mut killed = 0;
    for _ in 0..10 {
        let mut child = wellread.spawn(&other, Stdio::null());
        std::thread::sleep(Duration::from_millis(random.u64(20..220)));
        killed += usize::from(child.try_wait().unwrap().is_none());
        let _ = child.kill();
        let _ = child.wait();
    }
    assert!(killed > 0);
    let resumed: Value = serde_json::from_str(&wellread.succeeds(&other)).unwrap();
    let fresh = wellread.succeeds(&[&other[..], &["--fresh"]].concat());
    let fresh: Value = serde_json::from_str(&fresh).unwrap();
    assert_ne!(resumed["run"], fresh["run"]);
    assert_eq!(summary(&resumed), summary(&fresh));
    assert_ne!(whole["run"], fresh["run"]);
}

/// What is measured is what `search` and `ask` give.
#[test]
fn a_run_has_the_hits_and_answers_that_users_get() {
    let wellread = Wellread::small();
    let (set, feed) = (sample_set(), sample_feed());
    wellread.succeeds(&["add", &feed]);
    let results = |args: &[&str]| -> Vec<Value> {
        let run = wellread.json(&[&["eval", "run", &set, "--source", &feed], args].concat());
        let folder = std::path::Path::new(run["run"].as_str().unwrap());
        let lines = std::fs::read_to_string(folder.join("results.jsonl")).unwrap();
        lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let found = results(&["--retrieval-only"]);
    assert_eq!(found.len(), 30);
    for result in found {
        let question = result["question"].as_str().unwrap();
        let hits = wellread.json(&["search", "-k", "10", question])["hits"].clone();
        let (hits, found) = (hits.as_array().unwrap(), result["found"].as_array().unwrap());
        assert!(found.len() >= 10 && hits.len() == 10, "{result}");
        for (hit, found) in hits.iter().zip(found) {
            for field in ["title", "heading_path", "url"] {
                assert_eq!(hit[field], found[field], "{question}");
            }
            let score = |hit: &Value| hit["score"].as_f64().unwrap();
            assert!((score(hit) - score(found)).abs() < 1e-5, "{question}: {hit} {found}");
        }
    }
    for result in results(&["--sample", "2"]) {
        let asked = wellread.run(&["ask", "--json", result["question"].as_str().unwrap()]);
        let asked: Value = serde_json::from_str(&asked.stdout).unwrap();
        assert_eq!(asked["status"], result["answer"]["status"]);
        assert_eq!(asked["answer"], result["answer"]["text"]);
        assert_eq!(asked["usage"]["prompt_tokens"], result["answer"]["prompt_tokens"]);
    }
}

/// A line that is being written is left alone by who only looks.
#[test]
fn looking_at_a_run_in_progress_changes_nothing_in_it() {
    let wellread = Wellread::new();
    let (set, feed) = (sample_set(), sample_feed());
    let run = ["eval", "run", &set, "--source", &feed, "--retrieval-only"];
    let done = wellread.json(&run);
    let folder = std::path::PathBuf::from(done["run"].as_str().unwrap());
    std::fs::remove_file(folder.join("summary.json")).unwrap();
    let results = folder.join("results.jsonl");
    let mut torn = std::fs::read(&results).unwrap();
    torn.truncate(torn.len() - 20);
    std::fs::write(&results, &torn).unwrap();
    assert_eq!(wellread.json(&["eval", "list"])["runs"][0]["state"], "29 of 30");
    let name = folder.display().to_string();
    wellread.fails(&["eval", "show", &name], "not complete");
    wellread.fails(&["eval", "compare", &name, &name], "not complete");
    assert_eq!(std::fs::read(&results).unwrap(), torn);
    // Its owner mends it, and ends with the same summary.
    let resumed = wellread.json(&run);
    assert_eq!(resumed["run"], done["run"]);
    assert_eq!(resumed["summary"], done["summary"]);
}

/// Half a run by one build and half by another would be of neither.
#[test]
fn another_build_of_the_program_begins_a_run_of_its_own() {
    let wellread = Wellread::new();
    let (set, feed) = (sample_set(), sample_feed());
    let run = ["--json", "eval", "run", &set, "--source", &feed, "--retrieval-only"];
    let done: Value = serde_json::from_str(&wellread.succeeds(&run)).unwrap();
    let folder = std::path::Path::new(done["run"].as_str().unwrap());
    std::fs::remove_file(folder.join("summary.json")).unwrap();
    // The same program but for a byte after its end is another file.
    let copy = wellread.dir.path().join("wellread-other");
    let mut bytes = std::fs::read(env!("CARGO_BIN_EXE_wellread")).unwrap();
    bytes.push(0);
    std::fs::write(&copy, bytes).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&copy, mode).unwrap();
    let template = wellread.command(&run);
    let mut other = Command::new(&copy);
    other.args(run).env_clear().current_dir(wellread.dir.path());
    other.envs(template.get_envs().filter_map(|(key, value)| Some((key, value?))));
    let ran = ran(other.output().unwrap());
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert!(ran.stderr.contains("another build"), "{}", ran.stderr);
    let fresh: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_ne!(fresh["run"], done["run"]);
    // The build that began it goes on with it.
    let resumed: Value = serde_json::from_str(&wellread.succeeds(&run)).unwrap();
    assert_eq!(resumed["run"], done["run"]);
}

#[test]
fn a_question_that_fails_is_counted_and_the_run_goes_on() {
    let wellread = Wellread::new();
    let lines = std::fs::read_to_string(sample_set()).unwrap();
    let mut lines: Vec<String> = lines.lines().take(4).map(str::to_owned).collect();
    let mut long: Value = serde_json::from_str(&lines[1]).unwrap();
    long["question"] = Value::from("how long? ".repeat(20_000));
    lines[1] = long.to_string();
    let set = wellread.file("set.jsonl", lines.join("\n"));
    let feed = sample_feed();
    let ran = wellread.run(&["--json", "eval", "run", &set, "--source", &feed, "--retrieval-only"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let run: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!((&run["summary"]["questions"], &run["summary"]["failed"]), (&4.into(), &1.into()));
    assert!(ran.stderr.contains(long["id"].as_str().unwrap()), "{}", ran.stderr);
}

#[test]
fn a_full_disk_leaves_a_run_that_is_gone_on_with() {
    let wellread = Wellread::new();
    let (set, feed) = (sample_set(), sample_feed());
    let run = ["--json", "eval", "run", &set, "--source", &feed, "--retrieval-only"];
    // The index is made where there is room, for another run.
    wellread.succeeds(&[&run[..], &["--limit", "1"]].concat());
    let ran = run_with_small_files(&wellread, 66, &run);
    assert_eq!(ran.code, Some(2), "{}", ran.stderr);
    assert!(ran.stderr.contains("cannot write") && ran.stderr.contains("try:"), "{}", ran.stderr);
    let resumed: Value = serde_json::from_str(&wellread.succeeds(&run)).unwrap();
    let fresh = wellread.succeeds(&[&run[..], &["--fresh"]].concat());
    assert_eq!(summary(&resumed), summary(&serde_json::from_str(&fresh).unwrap()));
}

#[test]
fn two_runs_at_once_are_two_runs() {
    let wellread = Wellread::new();
    let (set, feed) = (sample_set(), sample_feed());
    let run = ["--json", "eval", "run", &set, "--source", &feed, "--retrieval-only"];
    let children = [0; 2].map(|_| wellread.spawn(&run, Stdio::null()));
    let [a, b] = children.map(|child| {
        let ran = ran(child.wait_with_output().unwrap());
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
        serde_json::from_str::<Value>(&ran.stdout).unwrap()
    });
    assert_ne!(a["run"], b["run"]);
    assert_eq!(summary(&a), summary(&b));
    let compared = wellread.run(&[
        "eval",
        "compare",
        "--fail-on-regression",
        a["run"].as_str().unwrap(),
        b["run"].as_str().unwrap(),
    ]);
    assert_eq!(compared.code, Some(0), "{}", compared.stderr);
    assert!(compared.stdout.contains("no difference detectable with 25 questions"));
}

#[test]
fn a_regression_is_told_by_the_exit_code() {
    let wellread = Wellread::new();
    let (set, feed) = (sample_set(), sample_feed());
    let run = |fusion: &str| {
        let fusion = format!("retrieval.fusion={fusion}");
        let heading = "chunk.heading_path=none";
        wellread.json(&[
            "eval",
            "run",
            &set,
            "--source",
            &feed,
            "--retrieval-only",
            "--set",
            &fusion,
            "--set",
            heading,
        ])["run"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    let (good, bad) = (run("rrf"), run("bm25"));
    let folder = wellread.dir.path().join("trec");
    wellread.succeeds(&["eval", "show", &good, "--trec", &folder.display().to_string()]);
    assert!(folder.join("run.trec").is_file() && folder.join("qrels.trec").is_file());
    // A run against itself with every ranking turned into a miss is worse beyond chance.
    let results = std::path::Path::new(&bad).join("results.jsonl");
    let text = std::fs::read_to_string(&results).unwrap();
    let mut broken = String::new();
    for line in text.lines() {
        let mut line: Value = serde_json::from_str(line).unwrap();
        if !line["ranking"].is_null() {
            for level in ["chunk", "section", "article"] {
                let names: Vec<String> =
                    line["ranking"][level].as_object().unwrap().keys().cloned().collect();
                for name in names {
                    line["ranking"][level][&name] = 0.0.into();
                }
            }
        }
        broken.push_str(&format!("{line}\n"));
    }
    std::fs::write(&results, broken).unwrap();
    let ran = wellread.run(&["eval", "compare", "--fail-on-regression", &good, &bad]);
    assert_eq!(ran.code, Some(1), "{}", ran.stdout);
    assert!(ran.stdout.contains("WORSE"), "{}", ran.stdout);
}

/// The judge is compared with people first; killed, it goes on where it was; its verdicts stand
/// beside the run and change nothing in it.
#[test]
fn a_judge_says_how_far_it_agrees_with_people() {
    let wellread = Wellread::new();
    let (set, feed) = (sample_set(), sample_feed());
    let retrieval = wellread.json(&[
        "eval",
        "run",
        &set,
        "--source",
        &feed,
        "--retrieval-only",
        "--limit",
        "2",
    ]);
    wellread.fails(&["eval", "judge", retrieval["run"].as_str().unwrap()], "nothing to judge");
    let run = wellread.json(&["eval", "run", &set, "--source", &feed, "--limit", "3"]);
    let folder = std::path::PathBuf::from(run["run"].as_str().unwrap());
    let before = summary(&run);

    let judges = wellread.data().join("eval/judges");
    let verdicts = || -> Vec<Value> {
        let Ok(mut files) = std::fs::read_dir(&judges) else { return Vec::new() };
        let Some(file) = files.next() else { return Vec::new() };
        let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
        let whole = text.rfind('\n').map_or(0, |end| end + 1);
        text[..whole].lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let judge = ["--json", "eval", "judge", folder.to_str().unwrap()];
    let mut child = wellread.spawn(&judge, std::process::Stdio::null());
    let end = std::time::Instant::now() + std::time::Duration::from_secs(120);
    while verdicts().len() < 3 && std::time::Instant::now() < end {
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let first = verdicts();
    assert!(first.len() >= 3);

    let said: Value = serde_json::from_str(&wellread.succeeds(&judge)).unwrap();
    let all = verdicts();
    assert_eq!(all[..first.len()], first[..]);
    let ids: std::collections::HashSet<String> =
        all.iter().map(|verdict| verdict["id"].to_string()).collect();
    assert_eq!(ids.len(), all.len());
    let with_people = &said["judged"]["agreement_with_people"];
    assert_eq!(with_people["share"]["n"].as_u64().unwrap(), all.len() as u64);
    assert!(with_people["share"]["mean"].as_f64().unwrap() > 0.7, "{said}");
    assert!(said["judged"]["right_by_judge"]["n"].as_u64().unwrap() >= 2, "{said}");
    assert!(folder.join(said["verdicts"].as_str().unwrap()).exists());
    assert_eq!(summary(&run), before);
}

#[test]
fn bad_sets_are_refused_before_anything_is_run() {
    let wellread = Wellread::new();
    let feed = sample_feed();
    let broken = wellread.file("broken.jsonl", "{\"id\":\"a\"}\nnonsense\n");
    let stderr = wellread.fails(&["eval", "run", &broken, "--source", &feed], "line 1");
    assert!(stderr.contains("line 2"), "{stderr}");
    let foreign = wellread.file(
        "foreign.jsonl",
        "{\"id\":\"a\",\"question\":\"x?\",\"gold\":[{\"url\":\"https://elsewhere.example/p\"}]}\n\
         {\"id\":\"b\",\"question\":\"y?\",\"gold\":[{\"url\":\"https://example.org/boatshed/planning-the-tern\",\"heading\":\"No such\"}]}\n",
    );
    let stderr =
        wellread.fails(&["eval", "check", &foreign, "--source", &feed], "elsewhere.example");
    assert!(stderr.contains("line 2 (b)") && stderr.contains("No such"), "{stderr}");
    wellread.fails(&["eval", "show", "no-such-run"], "no-such-run");
    let set = sample_set();
    wellread.succeeds(&["eval", "check", &set, "--source", &feed]);
    let generated = wellread.succeeds(&["eval", "generate", "--source", &feed]);
    assert!(generated.lines().count() > 20);
    let generated = wellread.file("generated.jsonl", generated);
    wellread.succeeds(&["eval", "check", &generated, "--source", &feed]);
}

#[test]
fn an_empty_library_is_refused_not_scored_as_zero() {
    let wellread = Wellread::new();
    let ran = wellread.run(&["eval", "run", &sample_set(), "--retrieval-only"]);
    ran.is_clear_error("");
}

/// A slice of SciFact: its gate, and every metric beside ir_measures' to a millionth.
#[test]
fn metrics_agree_with_the_reference_implementation() {
    let Some(folder) = shared("data/qa/scifact/beir") else { return };
    let wellread = Wellread::new();
    let questions = wellread.succeeds(&[
        "eval",
        "import",
        "beir",
        &folder.display().to_string(),
        "--slice",
        "100",
    ]);
    let set = wellread.file("scifact.jsonl", questions);
    let gate = thresholds();
    let run = wellread.json(&[
        "eval",
        "run",
        &set,
        "--source",
        "beir:scifact",
        "--retrieval-only",
        "--gate",
        &gate,
    ]);
    assert_eq!(run["missed"], serde_json::json!([]));
    let trec = wellread.dir.path().join("trec");
    wellread.succeeds(&[
        "eval",
        "show",
        run["run"].as_str().unwrap(),
        "--trec",
        &trec.display().to_string(),
    ]);

    let packages = wellread.dir.path().join("packages");
    let pip = Command::new("python3")
        .args(["-m", "pip", "install", "--quiet", "--target"])
        .arg(&packages)
        .args(["ir-measures==0.4.3", "pytrec-eval-terrier==0.5.11"])
        .status();
    assert!(pip.is_ok_and(|status| status.success()), "ir-measures can't be installed by pip");
    let script = "import ir_measures as m, json, sys\n\
                  qrels = list(m.read_trec_qrels(sys.argv[1])); run = list(m.read_trec_run(sys.argv[2]))\n\
                  names = {'hit@5': m.Success@5, 'recall@10': m.R@10, 'MRR@10': m.RR@10, 'nDCG@10': m.nDCG@10, 'MAP': m.AP}\n\
                  got = m.calc_aggregate(list(names.values()), qrels, run)\n\
                  print(json.dumps({name: got[measure] for name, measure in names.items()}))";
    let output = Command::new("python3")
        .args(["-c", script])
        .args([trec.join("qrels.trec"), trec.join("run.trec")])
        .env("PYTHONPATH", &packages)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let reference: Value = serde_json::from_slice(&output.stdout).unwrap();
    for (name, wanted) in reference.as_object().unwrap() {
        let got =
            run["summary"]["groups"]["all"][format!("article {name}")]["mean"].as_f64().unwrap();
        let wanted = wanted.as_f64().unwrap();
        assert!((got - wanted).abs() < 1e-6, "{name}: {got}, ir_measures {wanted}");
    }
}
