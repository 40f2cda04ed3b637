//! Name patterns of `--comm` and `--file`: a glob when the pattern has `*` or `?`, otherwise a part of the name.

/// A pattern as given on the command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    text: String,
}

impl Pattern {
    /// Takes the pattern as typed.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self {
            text: text.to_owned(),
        }
    }

    /// The pattern as typed.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// With `*` or `?` the whole name must fit (`*` also crosses `/`); otherwise it is enough that the name contains the pattern.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        if self.text.contains(['*', '?']) {
            glob(&self.text, name)
        } else {
            name.contains(&self.text)
        }
    }
}

/// Linear backtracking to the last `*` only, so that no pattern takes exponential time.
fn glob(pattern: &str, name: &str) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    let name: Vec<char> = name.chars().collect();
    let (mut p, mut n) = (0, 0);
    let mut last_star: Option<(usize, usize)> = None;
    while n < name.len() {
        match pattern.get(p) {
            Some('*') => {
                last_star = Some((p, n));
                p += 1;
            }
            Some(&c) if c == '?' || name.get(n) == Some(&c) => {
                p += 1;
                n += 1;
            }
            _ => match last_star {
                Some((star, from)) => {
                    last_star = Some((star, from + 1));
                    p = star + 1;
                    n = from + 1;
                }
                None => return false,
            },
        }
    }
    pattern.iter().skip(p).all(|&c| c == '*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_word_matches_any_part_of_a_name() {
        assert!(Pattern::new("seg").matches("/data/segments.bin"));
        assert!(!Pattern::new("log").matches("/data/segments.bin"));
        assert!(Pattern::new("[anon]").matches("[anon]"));
    }

    #[test]
    fn a_glob_must_fit_the_whole_name() {
        assert!(Pattern::new("*.bin").matches("/data/segments.bin"));
        assert!(!Pattern::new("*.bi").matches("/data/segments.bin"));
        assert!(Pattern::new("w?rker*").matches("worker-12"));
        assert!(!Pattern::new("w?rker").matches("worker-12"));
        assert!(Pattern::new("*a*a*a*b*").matches("xaxaxaxbx"));
        assert!(!Pattern::new(&"*a".repeat(40)).matches(&"a".repeat(39)));
    }
}
