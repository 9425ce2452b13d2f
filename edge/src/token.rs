//! The device token, as it stands in a file.

/// The first token of a file: one a line, and what follows a `#` is a remark. The cluster's own file may hold several; a
/// device has one.
pub fn first_token(text: &str) -> Option<&str> {
    text.lines().map(|line| line.split('#').next().unwrap_or_default().trim()).find(|token| !token.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remarks_and_empty_lines_are_no_part_of_a_token() {
        assert_eq!(first_token("# devices\n\n  abc123 # kitchen\r\nother\n"), Some("abc123"));
        assert_eq!(first_token("abc123"), Some("abc123"));
        assert_eq!(first_token("# nothing\n \n"), None);
    }
}
