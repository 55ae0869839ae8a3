//! stub
use crate::domain::*; use crate::error::*;
/// x
pub struct Hint<'a> { /// x
 pub url: Option<&'a str>, /// x
 pub content_type: Option<&'a str>, /// x
 pub file_name: Option<&'a str> }
/// x
pub struct Outline { /// x
 pub title: Option<String>, /// x
 pub url: String }
/// x
pub enum Parsed { /// x
 Source(ParsedSource), /// x
 Outlines(Vec<Outline>), /// x
 Page { /// x
 article: Box<ParsedArticle>, /// x
 feeds: Vec<String> } }
/// x
pub fn parse(_b: &[u8], _h: &Hint<'_>) -> Result<Parsed> { Err(Error::interrupted()) }
