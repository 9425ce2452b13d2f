//! Device tokens, as they stand in a file.

/// The tokens of a file: one a line, and what follows a `#` is a remark. The cluster's own file may hold several; a device
/// has one, the first.
pub fn tokens(text: &str) -> impl Iterator<Item = &str> {
    text.lines().map(|line| line.split('#').next().unwrap_or_default().trim()).filter(|token| !token.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remarks_and_empty_lines_are_no_part_of_a_token() {
        assert!(tokens("# devices\n\n  abc123 # kitchen\r\nother\n").eq(["abc123", "other"]));
        assert!(tokens("abc123").eq(["abc123"]));
        assert_eq!(tokens("# nothing\n \n").next(), None);
    }
}
