//! The process's side: it limits itself, works on its one input, and answers.

use std::io::{self, Read, Write};
use std::os::fd::BorrowedFd;
use std::process::ExitCode;
use std::thread;

use rustix::process::{Resource, Rlimit, getrlimit, setpriority_process, setrlimit};

use super::ChildLimits;
use super::protocol::head;

/// The exit status if there is no answer; the reason is on standard error.
pub(super) const REFUSED: u8 = 3;
/// The three standard streams: the only files it ever has.
const FILES: i32 = 3;
/// Up to which number inherited files are searched for. A parent that leaks files leaks the lowest numbers.
const INHERITED: i32 = 65_536;
/// As for nice(1): polls take precedence.
const NICENESS: i32 = 10;
/// From the soft limit of processor time to the hard one, in seconds.
const GRACE: u64 = 5;

/// The whole life of such a process. Call it first, before the process has other threads or files. `confine` drops all
/// rights that are no longer needed, as far as the system supports that. `work` turns the input into the answer, or
/// says why it can't.
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

/// Closes files that the service's own parent may have leaked to all its children, except the three streams.
fn close_inherited() {
    let most = getrlimit(Resource::Nofile).current.and_then(|most| i32::try_from(most).ok());
    for number in FILES..most.map_or(INHERITED, |most| most.min(INHERITED)) {
        // SAFETY: no other code relies on these files: this process has one thread, which has opened nothing yet.
        // Numbers that belong to no file are only queried.
        #[allow(unsafe_code, reason = "nothing here uses inherited files")]
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
    // At the soft limit the process gets SIGXCPU, which shows the service what happened.
    setrlimit(Resource::Cpu, Rlimit { current: Some(cpu), maximum: Some(cpu + GRACE) })?;
    // Writable private memory. Limiting the address space would not work: allocators reserve far more than they use.
    setrlimit(Resource::Data, to(u64::try_from(options.memory).unwrap_or(u64::MAX)))?;
    setrlimit(Resource::Core, to(0))?;
    // No further files or sockets, even if the system has no other means of confinement.
    setrlimit(Resource::Nofile, to(FILES.unsigned_abs().into()))?;
    setrlimit(Resource::Fsize, to(0))?;
    setpriority_process(None, NICENESS)?;
    Ok(())
}

fn answer(limits: ChildLimits, work: impl FnOnce(Vec<u8>) -> io::Result<Vec<u8>>) -> io::Result<()> {
    let input = receive(limits.input_bytes)?;
    // Exits as soon as the process that waits for the answer is gone, for any reason.
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
