//! What says about a file in a form that is uploaded.

/// Longest file name sent, in characters.
const MAX_FILE_NAME: usize = 200;
/// Longest MIME type sent, in bytes.
const MAX_MIME_TYPE: usize = 128;

/// A name that can stand in a form's header: no path, no control characters, no quotes.
pub(crate) fn file_name(wanted: &str, otherwise: &str) -> String {
    let last = wanted.rsplit(['/', '\\']).next().unwrap_or_default();
    let name: String = last
        .chars()
        .filter(|c| !c.is_control() && *c != '"')
        .take(MAX_FILE_NAME)
        .collect();
    if name.trim().is_empty() {
        otherwise.to_owned()
    } else {
        name
    }
}

/// A MIME type that can stand in a form's header; `None` for anything else.
pub(crate) fn mime_type(wanted: &str) -> Option<String> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"/.+-;= _".contains(&byte);
    let plausible = wanted.len() <= MAX_MIME_TYPE && wanted.contains('/') && wanted.bytes().all(allowed);
    plausible.then(|| wanted.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_end_a_header_is_left_out() {
        assert_eq!(file_name("../bảng giá.pdf", "file"), "bảng giá.pdf");
        assert_eq!(file_name("a\"\r\nb.pdf", "file"), "ab.pdf");
        assert_eq!(file_name("c:\\tmp\\", "file"), "file");
        assert_eq!(mime_type("image/png").as_deref(), Some("image/png"));
        for wrong in ["", "png", "image/png\r\nx: y", "image/\u{e9}"] {
            assert_eq!(mime_type(wrong), None, "{wrong:?}");
        }
    }
}
