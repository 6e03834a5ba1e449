//! The demo's summary of the service's log.

use std::fmt::Display;
use std::io::Write as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bg_test_support::{FakeGoogle, Finished, Running, TestHost};
use serde_json::Value;

/// The subjects of mail that arrives while the demo runs.
const SUBJECTS: [&str; 5] = ["Re: Lunch on Friday?", "Tickets", "A question", "Minutes of Monday", "Your parcel"];

/// Writes a line, at once.
pub(crate) fn say(text: impl Display) {
    let mut out = std::io::stdout().lock();
    // If standard output is closed, there is nowhere to report it.
    let _ = writeln!(out, "{text}").and_then(|()| out.flush());
}

/// How long the service may take to shut down.
const DRAIN: Duration = Duration::from_secs(30);

/// Whether the service is shutting down already: Ctrl-C reaches it as well, since it shares the demo's terminal. A
/// second signal would cut its shutdown short.
fn is_stopping(service: &mut Running) -> bool {
    for _ in 0..20 {
        if !service.is_running()
            || service.lines().iter().any(|line| line.text.contains("stopping; send the signal again"))
        {
            return true;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    false
}

/// Follows the service and prints what matters.
pub(crate) struct Story<'a> {
    host: &'a TestHost,
    google: &'a FakeGoogle,
    mail: &'a str,
    nosy: &'a str,
    polls: u64,
    denied: u64,
}

impl<'a> Story<'a> {
    pub(crate) fn new(host: &'a TestHost, google: &'a FakeGoogle, mail: &'a str, nosy: &'a str) -> Self {
        Self { host, google, mail, nosy, polls: 0, denied: 0 }
    }

    /// Reports what the service does until it has polled the mail charm as often as asked, or gets a signal; then stops
    /// it.
    pub(crate) fn follow(
        &mut self,
        mut service: Running,
        polls: Option<u64>,
        stop: &AtomicBool,
    ) -> anyhow::Result<Finished> {
        while service.is_running() {
            if let Some(line) = service.next_line(Duration::from_millis(100)) {
                match serde_json::from_str::<Value>(&line.text) {
                    Ok(event) => self.tell(&event)?,
                    Err(_) => say(line.text),
                }
            }
            if stop.load(Ordering::Relaxed) || polls.is_some_and(|polls| self.polls >= polls) {
                break;
            }
        }
        if stop.load(Ordering::Relaxed) && is_stopping(&mut service) {
            return service.wait_for_exit(DRAIN);
        }
        service.terminate()
    }

    fn tell(&mut self, event: &Value) -> anyhow::Result<()> {
        let text = |name: &str| event[name].as_str().unwrap_or_default();
        match text("target") {
            "egress" => self.tell_request(event),
            "poller" => self.tell_poll(text("message"))?,
            "guest" => say(format_args!("   log     {}", text("message"))),
            _ if text("level") != "INFO" => say(format_args!("           {}", text("message"))),
            _ => {}
        }
        Ok(())
    }

    fn tell_request(&mut self, event: &Value) {
        let text = |name: &str| event[name].as_str().unwrap_or_default();
        let who = match text("owner") {
            "charms" if text("charm") == self.nosy => "the nosy charm",
            "charms" => "the mail charm",
            _ => "gmail.wasm",
        };
        let token = if event["credential"] == true { ", the host added the token" } else { "" };
        let (method, origin, path) = (text("method"), text("origin"), text("path"));
        if text("decision") == "allowed" {
            let status = &event["status"];
            say(format_args!("   allowed {who}: {method} {path} -> {status}{token}"));
        } else {
            self.denied += 1;
            say(format_args!("   DENIED  {who}: {method} {origin}{path} ({})", text("rule")));
        }
    }

    fn tell_poll(&mut self, message: &str) -> anyhow::Result<()> {
        if message.contains(self.mail) {
            self.polls += 1;
            let shown = self.host.command(["charm", "show", self.mail])?.success()?;
            let shown: Value = serde_json::from_str(&shown.stdout)?;
            let count = shown["cells"]["emails"].as_array().map_or(0, Vec::len);
            say(format_args!("{message}"));
            say(format_args!("           poll {}: {count} messages in the charm\n", self.polls));
            let subject = SUBJECTS[usize::try_from(self.polls).unwrap_or(0) % SUBJECTS.len()];
            self.google.deliver(subject, "friend@example.com");
            say(format_args!("           new mail: {subject}"));
        } else if message.contains("xecuted charm") || message.contains("failed") {
            say(format_args!("{message}\n"));
        }
        Ok(())
    }

    /// Prints the end.
    pub(crate) fn close(&self) {
        say(format_args!(
            "\n{} polls of the mail charm, {} requests denied. Nothing left this machine.",
            self.polls, self.denied
        ));
    }
}
