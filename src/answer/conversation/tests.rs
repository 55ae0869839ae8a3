use super::*;
#[test]
fn show() {
    let text = include_str!("../../../eval/hard/dialogues.jsonl");
    for line in text.lines() {
        let d: serde_json::Value = serde_json::from_str(line).unwrap();
        let mut turns = vec![];
        for t in d["turns"].as_array().unwrap() {
            let q = t["question"].as_str().unwrap();
            let found = standalone(q, &turns);
            println!(
                "{} {} => {:?}   [{}]",
                d["id"],
                q,
                found.as_ref().map(|f| (f.is_whole, &f.text)),
                t["standalone"].as_str().unwrap()
            );
            turns.push(Turn {
                question: q.into(),
                standalone: found.map(|f| f.text),
                ..Turn::default()
            });
        }
    }
}
#[test]
fn stay() {
    let other = Turn {
        question: "How do I clear a paper jam in the office printer?".into(),
        answer: "Open the rear door.".into(),
        ..Turn::default()
    };
    for set in [
        include_str!("../../../eval/grokking-tech-career.jsonl"),
        include_str!("../../../eval/sample/questions.jsonl"),
        include_str!("../../../eval/hard/realfeeds.jsonl"),
    ] {
        for line in set.lines() {
            let d: serde_json::Value = serde_json::from_str(line).unwrap();
            let q = d["question"].as_str().unwrap();
            if let Some(f) = standalone(q, std::slice::from_ref(&other)) {
                println!("CHANGED {q} => {}", f.text);
            }
        }
    }
}
