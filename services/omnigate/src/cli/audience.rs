//! Arguments of `audience …`.

use super::Remote;
use clap::{Args, Subcommand, ValueEnum};
use std::path::PathBuf;

/// `audience …`
#[derive(Debug, Subcommand)]
pub enum Audience {
    /// Makes an audience: a list that imports fill, or with --filter a segment.
    #[command(after_help = "Example: omnigate audience create 'Khách Huế'\n         \
        omnigate audience create 'Khách quen' --filter '\"vip\" in customer.tags' --exclude 'Đã mua'")]
    Create(CreateAudience),
    /// Lists audiences.
    #[command(after_help = "Example: omnigate audience list")]
    List {
        /// Where the gateway is.
        #[command(flatten)]
        remote: Remote,
        /// At most this many; without it all.
        #[arg(long)]
        limit: Option<usize>,
    },
    /// Shows one audience.
    #[command(after_help = "Example: omnigate audience get 'Khách Huế'")]
    Get(OneAudience),
    /// Puts the rows of a file into a list; run again, it goes on where it broke off.
    #[command(
        after_help = "Example: omnigate audience import khach.csv --audience 'Khách Huế' --errors loi.csv\n         \
        omnigate audience import khach.csv --audience aud_… --map 'Số điện thoại=identifier:phone' --map 'Tên=variable:ten'\n         \
        zcat khach.jsonl.gz | omnigate audience import - --format jsonl --audience aud_… --import-id thang-11\n\n\
        A CSV file has a header and is UTF-8; a line of JSON Lines is an object of texts, numbers, true and false. Columns \
        named after a type of identifier (phone, email, crm, zalo_uid/OA, …) are identifiers, those named locale, time_zone \
        and display_name what they say, all others variables of templates. The same file into the same audience is the same \
        import, unless --import-id says otherwise."
    )]
    Import(ImportAudience),
    /// Lists who is in an audience, without a look at its exclusions.
    #[command(after_help = "Example: omnigate audience members 'Khách Huế' --limit 20 --output json")]
    Members {
        /// The audience.
        #[command(flatten)]
        audience: OneAudience,
        /// At most this many; without it all.
        #[arg(long)]
        limit: Option<usize>,
    },
    /// Counts who a campaign would be for, exclusions applied, and shows some of them.
    #[command(after_help = "Example: omnigate audience preview 'Khách quen' --samples 5")]
    Preview {
        /// The audience.
        #[command(flatten)]
        audience: OneAudience,
        /// How many of them are shown, 20 at most.
        #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(i32).range(0..=20))]
        samples: i32,
    },
    /// Deletes an audience with its rows; no customer goes with it.
    #[command(after_help = "Example: omnigate audience delete 'Khách Huế' --yes")]
    Delete {
        /// The audience.
        #[command(flatten)]
        audience: OneAudience,
        /// Without it nothing is deleted: what would be is told.
        #[arg(long)]
        yes: bool,
        /// The same for each repetition; without it one is made up.
        #[arg(long)]
        request_id: Option<String>,
    },
}

/// An audience by id or name.
#[derive(Debug, Args)]
pub struct OneAudience {
    /// Where the gateway is.
    #[command(flatten)]
    pub remote: Remote,
    /// Audience id (`aud_…`), or the name where only one audience has it.
    pub audience: String,
}

/// `audience create`
#[derive(Debug, Args)]
pub struct CreateAudience {
    /// Where the gateway is.
    #[command(flatten)]
    pub remote: Remote,
    /// Name to show.
    pub name: String,
    /// Makes a segment of those for whom this expression (CEL) is true.
    #[arg(long, value_name = "EXPRESSION")]
    pub filter: Option<String>,
    /// An audience whose members are left out, by id or name; may be given more than once.
    #[arg(long = "exclude", value_name = "AUDIENCE")]
    pub excluded: Vec<String>,
    /// The same for each repetition; without it one is made up.
    #[arg(long)]
    pub request_id: Option<String>,
}

/// How a file is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum FileFormat {
    /// Columns, with their names in the first line.
    Csv,
    /// A JSON object in each line.
    Jsonl,
}

/// `audience import`
#[derive(Debug, Args)]
pub struct ImportAudience {
    /// Where the gateway is.
    #[command(flatten)]
    pub remote: Remote,
    /// The file; `-` for standard input.
    pub file: PathBuf,
    /// The list, by id or name.
    #[arg(long)]
    pub audience: String,
    /// How the file is written; without it by its name, else CSV.
    #[arg(long, value_enum)]
    pub format: Option<FileFormat>,
    /// What a column is: `column=identifier:TYPE`, `column=identifier:TYPE/SCOPE`, `column=variable:NAME`, `column=locale`,
    /// `column=time-zone`, `column=display-name` or `column=ignore`; may be given more than once.
    #[arg(long = "map", value_name = "COLUMN=WHAT")]
    pub map: Vec<String>,
    /// What stands between columns; without it the one of comma, semicolon and tab that the first line has most of.
    #[arg(long, value_name = "CHARACTER")]
    pub delimiter: Option<char>,
    /// Where problems are written: CSV with row, column, reason and problem.
    #[arg(long, value_name = "FILE")]
    pub errors: Option<PathBuf>,
    /// Merges customers where one row gives identifiers of several; else such a row is a problem.
    #[arg(long)]
    pub merge: bool,
    /// Names the import; without it made of the file, and made up for standard input.
    #[arg(long)]
    pub import_id: Option<String>,
}
