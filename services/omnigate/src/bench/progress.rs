//! One line on the terminal about what is being measured; nothing where standard error is no terminal.

use std::io::{self, IsTerminal as _, Write as _};
use std::time::Duration;

/// Says what is being measured.
pub(super) struct Progress {
    steps: usize,
    step: usize,
    each: Duration,
    terminal: bool,
}

impl Progress {
    pub(super) fn new(steps: usize, each: Duration) -> Self {
        Self {
            steps,
            step: 0,
            each,
            terminal: io::stderr().is_terminal(),
        }
    }

    /// The next step begins.
    pub(super) fn step(&mut self, what: &str) {
        self.step += 1;
        let left = self.each * u32::try_from(self.steps.saturating_sub(self.step - 1)).unwrap_or(0);
        self.show(&format!(
            "[{}/{}] {what}, about {} s left",
            self.step,
            self.steps,
            left.as_secs()
        ));
    }

    fn show(&self, text: &str) {
        if self.terminal {
            // Nobody left to tell.
            drop(write!(io::stderr(), "\r\x1b[K{text}").and_then(|()| io::stderr().flush()));
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.show("");
    }
}
