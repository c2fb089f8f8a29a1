//! Reads the rows of a file one by one: CSV or JSON Lines, UTF-8.

use super::columns::{Columns, unreadable};
use crate::cli::FileFormat;
use anyhow::{Context as _, bail};
use csv::{ByteRecord, ReaderBuilder};
use omnigate_proto::v1::ImportRow;
use serde_json::Value;
use std::io::{BufRead, BufReader, Read};

/// Longest line of JSON Lines and longest field of CSV worth keeping, in bytes: no row that is taken is longer.
const MAX_LINE: usize = 1024 * 1024;
/// What is looked at to tell columns apart.
const PEEKED: usize = 64 * 1024;

/// Rows, each with the number of its line.
pub(super) struct Rows {
    source: Source,
    pub(super) columns: Columns,
}

type Input = BufReader<Box<dyn Read + Send>>;

enum Source {
    Csv {
        reader: Box<csv::Reader<Input>>,
        header: Vec<String>,
        line: Line,
    },
    Lines {
        reader: Input,
        number: u64,
    },
}

/// Where records begin. A line break of two characters is counted by the parser with the record behind it.
struct Line {
    behind: u64,
    last: u64,
}

impl Line {
    fn of(&mut self, record: &ByteRecord) -> u64 {
        let counted = record.position().map_or(0, csv::Position::line) + self.behind;
        // Where a file breaks its lines in both ways, each row still has a number of its own.
        self.last = counted.max(self.last + 1);
        self.last
    }
}

impl Rows {
    /// Rows of a file; its header, where it has one, is read and checked.
    pub(super) fn new(
        input: Box<dyn Read + Send>,
        (format, delimiter): (FileFormat, Option<u8>),
        mut columns: Columns,
    ) -> anyhow::Result<Self> {
        let mut reader = BufReader::with_capacity(PEEKED, input);
        let begin = reader.fill_buf().context("the file cannot be read")?;
        if begin.starts_with(&[0xff, 0xfe]) || begin.starts_with(&[0xfe, 0xff]) {
            bail!("the file is UTF-16: save it as UTF-8 (in Excel: \"CSV UTF-8\")");
        }
        let source = match format {
            FileFormat::Jsonl => Source::Lines { reader, number: 0 },
            FileFormat::Csv => {
                let first_line = begin.split(|byte| *byte == b'\n').next().unwrap_or_default();
                let delimiter = delimiter.unwrap_or_else(|| most_of(first_line));
                let line = Line {
                    behind: u64::from(first_line.ends_with(b"\r")),
                    last: 1,
                };
                // The number of columns is checked here, so that a row with another one is a problem of its own.
                let mut reader = ReaderBuilder::new()
                    .delimiter(delimiter)
                    .flexible(true)
                    .has_headers(false)
                    .from_reader(reader);
                let mut first = ByteRecord::new();
                if !reader
                    .read_byte_record(&mut first)
                    .context("the header cannot be read")?
                {
                    bail!("the file is empty: the first line names the columns");
                }
                let names: Result<Vec<String>, _> = first.iter().map(|name| text(name).map(str::to_owned)).collect();
                let names = names
                    .ok()
                    .context("the header is not UTF-8: save the file as UTF-8 (in Excel: \"CSV UTF-8\")")?;
                let header: Vec<String> = names.iter().map(|name| name.trim().to_owned()).collect();
                columns.header(&header)?;
                let reader = Box::new(reader);
                Source::Csv { reader, header, line }
            }
        };
        Ok(Self { source, columns })
    }

    /// The next row; `None` at the end of the file.
    pub(super) fn next(&mut self) -> anyhow::Result<Option<ImportRow>> {
        match &mut self.source {
            Source::Csv { reader, header, line } => next_record(reader, (header, line), &mut self.columns),
            Source::Lines { reader, number } => next_line(reader, number, &mut self.columns),
        }
    }
}

/// The delimiter that the first line has most of.
fn most_of(line: &[u8]) -> u8 {
    let count = |delimiter: u8| line.iter().filter(|byte| **byte == delimiter).count();
    let likely = [b';', b'\t']
        .into_iter()
        .max_by_key(|delimiter| count(*delimiter))
        .unwrap_or(b',');
    if count(likely) > count(b',') { likely } else { b',' }
}

fn text(bytes: &[u8]) -> Result<&str, std::str::Utf8Error> {
    let bytes = bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(bytes);
    std::str::from_utf8(bytes)
}

fn next_record(
    reader: &mut csv::Reader<Input>,
    (header, line): (&[String], &mut Line),
    columns: &mut Columns,
) -> anyhow::Result<Option<ImportRow>> {
    let mut record = ByteRecord::new();
    if !reader
        .read_byte_record(&mut record)
        .context("the file cannot be read")?
    {
        return Ok(None);
    }
    let number = line.of(&record);
    if record.len() != header.len() {
        let problem = format!("{} columns instead of {}", record.len(), header.len());
        return Ok(Some(unreadable(number, "", problem)));
    }
    let mut cells = Vec::with_capacity(header.len());
    for (name, field) in header.iter().zip(record.iter()) {
        if field.len() > MAX_LINE {
            return Ok(Some(unreadable(number, name, "longer than 1 MiB")));
        }
        match std::str::from_utf8(field) {
            Ok(field) => cells.push((name.as_str(), field.to_owned())),
            Err(_) => return Ok(Some(unreadable(number, name, "not UTF-8"))),
        }
    }
    Ok(Some(columns.fill(number, cells.into_iter())))
}

fn next_line(reader: &mut Input, number: &mut u64, columns: &mut Columns) -> anyhow::Result<Option<ImportRow>> {
    loop {
        let mut line = Vec::new();
        let mut limited = Read::take(&mut *reader, MAX_LINE as u64);
        if limited
            .read_until(b'\n', &mut line)
            .context("the file cannot be read")?
            == 0
        {
            return Ok(None);
        }
        *number += 1;
        if line.len() == MAX_LINE && !line.ends_with(b"\n") {
            skip_line(reader)?;
            return Ok(Some(unreadable(*number, "", "longer than 1 MiB")));
        }
        let Ok(line) = text(&line) else {
            return Ok(Some(unreadable(*number, "", "not UTF-8")));
        };
        if line.trim().is_empty() {
            continue;
        }
        return Ok(Some(object(*number, line, columns)));
    }
}

fn skip_line(reader: &mut Input) -> anyhow::Result<()> {
    loop {
        let buffer = reader.fill_buf().context("the file cannot be read")?;
        let (used, done) = match buffer.iter().position(|byte| *byte == b'\n') {
            Some(end) => (end + 1, true),
            None => (buffer.len(), buffer.is_empty()),
        };
        reader.consume(used);
        if done {
            return Ok(());
        }
    }
}

fn object(number: u64, line: &str, columns: &mut Columns) -> ImportRow {
    let fields = match serde_json::from_str(line) {
        Ok(Value::Object(fields)) => fields,
        Ok(_) => return unreadable(number, "", "not a JSON object"),
        Err(error) => {
            // The parser's words may repeat the line.
            let problem = format!("not JSON at character {}", error.column());
            return unreadable(number, "", problem);
        }
    };
    let mut cells = Vec::with_capacity(fields.len());
    for (name, value) in &fields {
        let value = match value {
            Value::Null => String::new(),
            Value::String(text) => text.clone(),
            Value::Bool(_) | Value::Number(_) => value.to_string(),
            Value::Array(_) | Value::Object(_) => {
                return unreadable(number, name, "must be a text, a number, true or false");
            }
        };
        cells.push((name.as_str(), value));
    }
    columns.fill(number, cells.into_iter())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(format: FileFormat, file: &[u8]) -> anyhow::Result<Vec<ImportRow>> {
        let file: Box<dyn Read + Send> = Box::new(std::io::Cursor::new(file.to_vec()));
        let mut rows = Rows::new(file, (format, None), Columns::default())?;
        let mut all = Vec::new();
        while let Some(row) = rows.next()? {
            all.push(row);
        }
        Ok(all)
    }

    fn short(row: &ImportRow) -> (u64, String, String) {
        let phone = row
            .identifiers
            .first()
            .map(|phone| phone.value.clone())
            .unwrap_or_default();
        let said = match row.problem.is_empty() {
            true => row.variables.get("ten").cloned().unwrap_or_default(),
            false => row.problem.clone(),
        };
        (row.row, phone, said)
    }

    fn shorts(format: FileFormat, file: &[u8]) -> Vec<(u64, String, String)> {
        read(format, file).unwrap().iter().map(short).collect()
    }

    fn of(rows: &[(u64, &str, &str)]) -> Vec<(u64, String, String)> {
        rows.iter()
            .map(|(row, phone, said)| (*row, (*phone).to_owned(), (*said).to_owned()))
            .collect()
    }

    #[test]
    fn csv_with_a_byte_order_mark_quotes_and_breaks() {
        let file = "\u{feff}phone,ten\r\n0901,\"Lê, \"\"An\"\"\"\r\n0902,\"hai\ndòng\"\r\n0903,Cúc\r\n";
        let rows = of(&[(2, "0901", "Lê, \"An\""), (3, "0902", "hai\ndòng"), (5, "0903", "Cúc")]);
        assert_eq!(shorts(FileFormat::Csv, file.as_bytes()), rows);
    }

    #[test]
    fn each_row_has_the_number_of_its_line_however_lines_end() {
        for (first, second) in [("\n", "\n"), ("\r\n", "\r\n"), ("\n", "\r\n")] {
            let file = format!("phone,ten{first}0901,An{second}0902,Bình{second}0903,Cúc{first}");
            let rows = read(FileFormat::Csv, file.as_bytes()).unwrap();
            let numbers: Vec<u64> = rows.iter().map(|row| row.row).collect();
            assert_eq!(numbers, [2, 3, 4], "{first:?} {second:?}");
        }
    }

    #[test]
    fn the_delimiter_is_the_one_that_the_header_has_most_of() {
        for delimiter in [";", "\t", ","] {
            let file = format!("phone{delimiter}ten\n0901{delimiter}An\n");
            assert_eq!(
                shorts(FileFormat::Csv, file.as_bytes()),
                of(&[(2, "0901", "An")]),
                "{delimiter:?}"
            );
        }
    }

    #[test]
    fn a_bad_row_is_a_problem_of_its_own() {
        let mut file = b"phone,ten\n0901\n0902,An,x\n0903,".to_vec();
        file.extend([0xc3, 0x28]);
        file.extend(b"\n0904,Em\n");
        let rows = of(&[
            (2, "", "1 columns instead of 2"),
            (3, "", "3 columns instead of 2"),
            (4, "", "not UTF-8"),
            (5, "0904", "Em"),
        ]);
        assert_eq!(shorts(FileFormat::Csv, &file), rows);
    }

    #[test]
    fn a_file_that_is_not_utf_8_is_said_so() {
        let utf_16 = [0xff, 0xfe, b'p', 0, b'h', 0];
        let windows = [b'p', b'h', b'o', b'n', b'e', b',', 0xf4, b'\n'];
        for (file, what) in [
            (&utf_16[..], "UTF-16"),
            (&windows[..], "header is not UTF-8"),
            (&[][..], "empty"),
        ] {
            let refused = read(FileFormat::Csv, file).unwrap_err();
            assert!(format!("{refused:#}").contains(what), "{refused:#}");
        }
    }

    #[test]
    fn lines_of_json() {
        let long = format!("{{\"ten\":\"{}\"}}", "x".repeat(MAX_LINE));
        let file = format!(
            "{{\"phone\":\"0901\",\"ten\":\"An\"}}\n\n[1]\n{{\"ten\":true,\"phone\":901}}\n{{\"phone\":\"0902\",\"ten\":{{}}}}\n{long}\nnonsense\n{{\"ten\":null,\"email\":\"a@b.vn\"}}"
        );
        let rows = shorts(FileFormat::Jsonl, file.as_bytes());
        let expected = [
            (1, "0901", "An"),
            (3, "", "not a JSON object"),
            (4, "901", "true"),
            (5, "", "must be a text, a number, true or false"),
            (6, "", "longer than 1 MiB"),
            (7, "", "not JSON at character 2"),
            (8, "", ""),
        ];
        assert_eq!(rows, of(&expected));
        // An identifier stands at the place of its column in every row.
        let last = read(FileFormat::Jsonl, file.as_bytes()).unwrap().pop().unwrap();
        assert_eq!(
            (last.identifiers.len(), last.identifiers[1].value.as_str()),
            (2, "a@b.vn")
        );
    }
}
