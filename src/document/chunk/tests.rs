use std::ops::Range;

use proptest::prelude::*;

use super::*;
use crate::base::samples::article;
use crate::base::{ArticleId, Block, Section};

fn meta() -> ArticleMeta {
    ArticleMeta { id: ArticleId("00ff00ff00ff00ff".into()), ..article("Title") }
}

/// A token a word and a half, two special ones.
fn count(text: &str) -> Result<usize> {
    Ok(2 + text.split_whitespace().map(|word| word.chars().count().div_ceil(4)).sum::<usize>())
}

/// Three bytes a token: white space counts, too.
fn count_bytes(text: &str) -> Result<usize> {
    Ok(text.len().div_ceil(3) + 2)
}

/// A heading path and the blocks under it.
type Part = (Vec<String>, Vec<(BlockKind, String)>);

fn document(sections: &[Part]) -> Document {
    let mut document = Document::default();
    for (index, (path, blocks)) in sections.iter().enumerate() {
        let start = document.text.len();
        for (kind, text) in blocks {
            if !document.text.is_empty() {
                document.text.push_str("\n\n");
            }
            let from = document.text.len();
            document.text.push_str(text);
            document.blocks.push(Block {
                kind: kind.clone(),
                section: index,
                range: from..document.text.len(),
            });
        }
        let start = document
            .blocks
            .iter()
            .find(|block| block.section == index)
            .map_or(start, |block| block.range.start);
        document.sections.push(Section {
            heading_path: path.clone(),
            level: 2,
            range: start..document.text.len(),
        });
    }
    document
}

fn kinds() -> impl Strategy<Value = BlockKind> {
    prop_oneof![
        Just(BlockKind::Paragraph),
        (0usize..3).prop_map(|list| BlockKind::ListItem { depth: 0, list }),
        Just(BlockKind::Code { language: None }),
        (0usize..2).prop_map(|table| BlockKind::TableRow { table, header: Some("a | b".into()) }),
        Just(BlockKind::Quote),
        Just(BlockKind::Caption),
    ]
}

fn documents() -> impl Strategy<Value = Document> {
    let text = "[a-zé漢]{1,12}([ \\.\\n]{1,2}[a-zA-Z漢]{1,90}){0,40}";
    let block = (kinds(), text);
    let path = proptest::collection::vec("[A-Z][a-z]{0,20}( [a-z]{1,60}){0,4}", 0..4);
    proptest::collection::vec((path, proptest::collection::vec(block, 0..6)), 0..5)
        .prop_map(|sections| document(&sections))
}

fn covered(chunks: &[Chunk], document: &Document) -> std::result::Result<(), String> {
    let ranges: Vec<Range<usize>> = chunks.iter().map(|chunk| chunk.range.clone()).collect();
    if !ranges.windows(2).all(|pair| pair[0].end <= pair[1].start) {
        return Err(format!("out of order or overlapping: {ranges:?}"));
    }
    for block in &document.blocks {
        for (at, character) in document.text[block.range.clone()].char_indices() {
            let at = block.range.start + at;
            let held = ranges.iter().filter(|range| range.contains(&at)).count();
            if held != 1 {
                return Err(format!("byte {at} ({character:?}) is held {held} times"));
            }
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn chunks_cover_all_blocks_once_within_their_sections_and_limits(
        document in documents(), target in 16usize..80, max in 24usize..80, overlap in 0usize..12,
        counts_breaks in any::<bool>(),
    ) {
        let count: Count<'_> = if counts_breaks { &count_bytes } else { &count };
        let options = ChunkOptions {
            target_tokens: target, max_tokens: max, overlap_tokens: overlap,
            heading_path: HeadingPath::Full,
        };
        let chunks = split(&document, &meta(), &options, 64, count).unwrap();
        if let Err(wrong) = covered(&chunks, &document) {
            prop_assert!(false, "{}", wrong);
        }
        for (at, chunk) in chunks.iter().enumerate() {
            prop_assert_eq!(chunk.ordinal, at);
            prop_assert!(chunk.tokens <= max.min(64));
            prop_assert_eq!(count(&chunk.embedded_text).unwrap(), chunk.tokens);
            let section = &document.sections[chunk.section];
            prop_assert!(section.range.start <= chunk.range.start);
            prop_assert!(chunk.range.end <= section.range.end);
            prop_assert_eq!(&chunk.heading_path, &section.heading_path);
            prop_assert!(chunk.text.ends_with(document.text[chunk.range.clone()].trim_end()));
        }
        let ids: std::collections::HashSet<_> = chunks.iter().map(|chunk| chunk.id).collect();
        prop_assert_eq!(ids.len(), chunks.len());
        prop_assert_eq!(split(&document, &meta(), &options, 64, count).unwrap(), chunks);
    }
}

fn words(n: usize) -> String {
    (0..n).map(|at| format!("w{at:02}. ")).collect::<String>().trim_end().to_owned()
}

#[test]
fn an_edit_keeps_the_ids_of_other_sections() {
    let section =
        |name: &str, text: String| (vec![name.to_owned()], vec![(BlockKind::Paragraph, text)]);
    let options = ChunkOptions::default();
    let before = document(&[section("A", words(20)), section("B", words(30))]);
    let after = document(&[section("A", words(21)), section("B", words(30))]);
    let before = split(&before, &meta(), &options, 256, &count).unwrap();
    let after = split(&after, &meta(), &options, 256, &count).unwrap();
    assert_ne!(before[0].id, after[0].id);
    assert_eq!(before[1].id, after[1].id);
}

#[test]
fn a_split_table_repeats_its_header_and_a_list_that_fits_stays_whole() {
    let row = |n: usize, header: bool| {
        let header = header.then(|| "Wood | Weight".to_owned());
        (BlockKind::TableRow { table: 0, header }, format!("oak{n} | {}", words(6)))
    };
    let mut rows = vec![(BlockKind::TableRow { table: 0, header: None }, "Wood | Weight".into())];
    rows.extend((0..12).map(|n| row(n, true)));
    let options = ChunkOptions { target_tokens: 40, max_tokens: 60, ..ChunkOptions::default() };
    let table = document(&[(vec![], rows)]);
    let chunks = split(&table, &meta(), &options, 256, &count).unwrap();
    assert!(chunks.len() > 1);
    assert!(chunks.iter().all(|chunk| chunk.text.starts_with("Wood | Weight")), "{chunks:?}");

    let item =
        |n: usize| (BlockKind::ListItem { depth: 0, list: 0 }, format!("- {n} {}", words(4)));
    let mut blocks = vec![(BlockKind::Paragraph, words(25))];
    blocks.extend((0..5).map(item));
    let list = document(&[(vec![], blocks)]);
    let chunks = split(&list, &meta(), &options, 256, &count).unwrap();
    let items: Vec<_> = chunks.iter().filter(|chunk| chunk.text.contains("- 0")).collect();
    assert!((0..5).all(|n| items[0].text.contains(&format!("- {n} "))), "{chunks:?}");
}

/// Found by fuzzing: the line break behind the heading path was not counted.
#[test]
fn the_line_break_behind_a_heading_path_is_counted() {
    for (letters, heading) in (300..420).flat_map(|n| ["A", "AB", "ABC"].map(|path| (n, path))) {
        let text: String = "word ".repeat(letters).chars().take(letters).collect();
        let one = document(&[(vec![heading.into()], vec![(BlockKind::Paragraph, text)])]);
        let options =
            ChunkOptions { target_tokens: 139, max_tokens: 139, ..ChunkOptions::default() };
        for chunk in split(&one, &meta(), &options, 139, &count_bytes).unwrap() {
            assert!(chunk.tokens <= 139);
        }
    }
}

#[test]
fn settings_without_room_are_refused() {
    let options = ChunkOptions { max_tokens: 8, ..ChunkOptions::default() };
    let error = split(&document(&[]), &meta(), &options, 256, &count).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
}
