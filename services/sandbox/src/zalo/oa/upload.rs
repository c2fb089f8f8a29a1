//! Uploads, which are kept for some days.

use super::content::extension;
use crate::zalo::{
    answer::{Outcome, Refused, Reply},
    files::FileKind,
    params::Params,
    world::World,
};
use serde_json::json;

impl World {
    /// `POST /v2.0/oa/upload/{image,gif,file}`.
    pub(super) fn upload_of_oa(&mut self, oa: usize, path: &str, params: &Params) -> Outcome {
        let (kind, extensions, longest, answered): (_, &[&str], usize, _) = match path.rsplit('/').next() {
            Some("image") => (FileKind::Image, &["jpg", "jpeg", "png"], 1 << 20, "attachment_id"),
            // Zalo's own pages differ between 1 MB and 5 MB.
            Some("gif") => (FileKind::Gif, &["gif"], 5 << 20, "attachment_id"),
            _ => (FileKind::Document, &["pdf", "doc", "docx", "csv"], 5 << 20, "token"),
        };
        let file = params.file.as_ref().ok_or_else(|| Refused::invalid("file"))?;
        let mime = file.mime_type.clone().unwrap_or_default();
        // Clients that name no file still say what it is.
        let named = extension(&file.name);
        let is_right = extensions.contains(&named.as_str())
            || (named.is_empty() && extensions.iter().any(|end| mime.ends_with(end)));
        if file.bytes.is_empty() || !is_right {
            return Err(Refused::invalid("file"));
        }
        if file.bytes.len() > longest {
            return Err(Refused::oa(-210));
        }
        let now_ms = self.now().unix_ms;
        let used = self.oas[oa].used.at(now_ms);
        if used.uploads >= self.options.uploads_per_month {
            return Err(Refused::oa(-211));
        }
        used.uploads += 1;
        self.journal.counters.uploads += 1;
        let stored = self.add_file(oa, kind, (file.name.clone(), mime), file.bytes.clone());
        Ok(Reply::data(json!({answered: stored.id})))
    }
}
