//! The process's side: it limits itself, works on the one input that it is sent, and answers.

use std::io::{self, Read, Write};
use std::os::fd::BorrowedFd;
use std::process::ExitCode;
use std::thread;

use rustix::process::{Resource, Rlimit, getrlimit, setpriority_process, setrlimit};

use super::ChildLimits;
use super::protocol::head;

/// What it ends with when there is no answer, with the reason on its standard error.
pub(super) const REFUSED: u8 = 3;
/// The streams: all the files that it ever has.
const FILES: i32 = 3;
/// Up to which number files are looked for that were left open. Who leaves some leaves those that came first.
const INHERITED: i32 = 65_536;
/// As nice(1) has it: those who poll come first.
const NICENESS: i32 = 10;
/// From the soft limit of processor time to the hard one, seconds.
const GRACE: u64 = 5;

/// The whole of such a process. Call it first, before the process has other threads or files; `confine` is to take from it all
/// rights that it needs no more, as far as the system can do that; `work` makes the answer of the input, or says why it can't.
pub fn work_as_child(
    limits: ChildLimits,
    confine: impl FnOnce(),
    work: impl FnOnce(Vec<u8>) -> io::Result<Vec<u8>>,
) -> ExitCode {
    close_inherited();
    let ended = limit(limits).and_then(|()| {
        confine();
        answer(limits, work)
    });
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // The parent is gone; there is nowhere to report this.
            let _ = writeln!(io::stderr(), "{error}");
            ExitCode::from(REFUSED)
        }
    }
}

/// Closes what whoever started the service may have left open in all its children, other than the three streams.
fn close_inherited() {
    let most = getrlimit(Resource::Nofile).current.and_then(|most| i32::try_from(most).ok());
    for number in FILES..most.map_or(INHERITED, |most| most.min(INHERITED)) {
        // SAFETY: no other code relies on these files: this process has one thread, which has opened nothing yet. Numbers that
        // are of no file are only asked about.
        #[allow(unsafe_code, reason = "files that came from outside belong to nobody here")]
        unsafe {
            if rustix::io::fcntl_getfd(BorrowedFd::borrow_raw(number)).is_ok() {
                rustix::io::close(number);
            }
        }
    }
}

/// Gives up what the process does not need, for good.
fn limit(options: ChildLimits) -> io::Result<()> {
    let to = |value| Rlimit { current: Some(value), maximum: Some(value) };
    let cpu = options.cpu.as_secs().max(1);
    // At the soft limit comes SIGXCPU, which tells the service what it was.
    setrlimit(Resource::Cpu, Rlimit { current: Some(cpu), maximum: Some(cpu + GRACE) })?;
    // Private memory that can be written to. The address space would not do: allocators reserve far more than they use.
    setrlimit(Resource::Data, to(u64::try_from(options.memory).unwrap_or(u64::MAX)))?;
    setrlimit(Resource::Core, to(0))?;
    // No file and no socket more, also where the system cannot confine it otherwise.
    setrlimit(Resource::Nofile, to(FILES.unsigned_abs().into()))?;
    setrlimit(Resource::Fsize, to(0))?;
    setpriority_process(None, NICENESS)?;
    Ok(())
}

fn answer(limits: ChildLimits, work: impl FnOnce(Vec<u8>) -> io::Result<Vec<u8>>) -> io::Result<()> {
    let input = receive(limits.input_bytes)?;
    // Ends with whoever waits for the answer, however that comes about.
    thread::Builder::new().name("parent".into()).spawn(|| {
        let mut byte = [0];
        while io::stdin().read(&mut byte).is_ok_and(|read| read > 0) {}
        std::process::exit(i32::from(REFUSED));
    })?;
    let answer = work(input)?;
    let mut stdout = io::stdout().lock();
    stdout.write_all(&head(&answer))?;
    stdout.write_all(&answer)?;
    stdout.flush()
}

fn receive(limit: usize) -> io::Result<Vec<u8>> {
    let mut stdin = io::stdin().lock();
    let mut length = [0; 8];
    stdin.read_exact(&mut length)?;
    let length = usize::try_from(u64::from_le_bytes(length)).ok().filter(|length| *length <= limit);
    let Some(length) = length else { return Err(io::Error::other("the input is too large")) };
    let mut input = vec![0; length];
    stdin.read_exact(&mut input)?;
    Ok(input)
}
