//! Ctrl-C, and the signal by which a system ends its programs.

use std::io;

/// Exit code of a program that was interrupted, as shells count: 128 and the number of SIGINT.
const INTERRUPTED: i32 = 130;

/// Calls `leave` when the process is first asked to stop, and ends it at once when it is asked again.
///
/// # Errors
/// When the system gives no thread or no handler.
#[allow(clippy::disallowed_methods, reason = "io may spawn")]
pub fn on_stop(leave: impl FnOnce() + Send + 'static) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    let mut asked = {
        let _inside = runtime.enter();
        Asked::listen()?
    };
    let listen = async move {
        asked.again().await;
        leave();
        asked.again().await;
        std::process::exit(INTERRUPTED);
    };
    std::thread::Builder::new().name("caracal-signals".into()).spawn(move || runtime.block_on(listen))?;
    Ok(())
}

#[cfg(unix)]
struct Asked {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Asked {
    fn listen() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    async fn again(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

#[cfg(not(unix))]
struct Asked;

#[cfg(not(unix))]
impl Asked {
    fn listen() -> io::Result<Self> {
        Ok(Self)
    }

    async fn again(&mut self) {
        // A system that has no Ctrl-C never asks.
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
