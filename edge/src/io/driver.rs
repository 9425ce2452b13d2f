//! The edge's driver: feeds the conversation with what happens, and does what it asks.
//!
//! Three threads: this one runs the machines and the voice network, one the accelerator, one the network; sources have
//! their own. Nothing here decides anything. Every queue between threads is bounded by what the machines let on the way:
//! of sound a piece, the rest of a turn and its end; of pictures three and those that the user shows; one piece of speech.

use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use caracal_shared::machine::{Machine, Micros};
use caracal_shared::wire::{Hello, Model, Refusal, TICKET_BYTES, Ticket, VERSION};

use super::door::{Dial, Door, DoorEvent};
use super::pace::Clock;
use super::recorder::Recorder;
use super::redial::Redial;
use super::sink::{Sink, SinkError};
use super::source::{Hop, Shot};
use super::vad::{SileroState, SileroVad, VadError};
use crate::accelerator::Accelerator;
use crate::audio::voice_activity::{SpeechProbability, VoiceActivity, VoiceActivityConfig};
use crate::conversation::{Conversation, Input, Output, Settings, Story};
use crate::job::{Job, JobResult};
use crate::timeline::Timeline;

/// Longest wait for something to happen: bounds how late the end of a source is noticed.
const IDLE_WAIT: Duration = Duration::from_secs(1);

/// What happens to a driver.
pub enum Event {
    /// The microphone or a file delivered 10 ms.
    Hop(Box<Hop>),
    /// The camera or a file delivered a picture.
    Shot(Shot),
    /// The user shows a picture.
    Show(Shot),
    /// The accelerator is done with a job.
    Done(JobResult),
    /// Something came through the door.
    Door(Dial, DoorEvent),
    /// The user leaves.
    Leave,
}

/// What a driver is made with.
pub struct DriverSettings {
    /// The conversation.
    pub conversation: Settings,
    /// How probabilities become spans.
    pub activity: VoiceActivityConfig,
    /// The device token.
    pub token: String,
    /// What this edge runs.
    pub model: Model,
    /// Where the ticket is kept for the next start; nowhere, and a restart begins anew.
    pub ticket_file: Option<PathBuf>,
    /// Whether to keep a timeline of what happens: it costs memory by the hour.
    pub timeline: bool,
}

/// Why a driver stopped.
#[derive(Debug, thiserror::Error)]
pub enum DriverError {
    /// The voice network.
    #[error(transparent)]
    Vad(#[from] VadError),
    /// The speaker.
    #[error(transparent)]
    Sink(#[from] SinkError),
    /// The cluster will not have this edge until what its refusal says is mended: dialling again would change nothing.
    #[error("the cluster refuses this device: {}", .0.text)]
    Refused(Refusal),
    /// A thread cannot be started, or ended on its own.
    #[error("the {0} thread ended. Look at the log for what it said last.")]
    Thread(&'static str),
}

/// Who looks on: stories with session time.
pub type Observer = Box<dyn FnMut(Micros, &Story) + Send>;

/// The accelerator on its thread.
pub struct AcceleratorThread {
    jobs: Option<Sender<Job>>,
    thread: Option<JoinHandle<()>>,
}

impl AcceleratorThread {
    /// Starts the thread; results go to `events`.
    ///
    /// # Errors
    /// [`DriverError::Thread`].
    #[allow(clippy::disallowed_methods, reason = "io may spawn")]
    pub fn start(mut accelerator: Accelerator, events: Sender<Event>) -> Result<Self, DriverError> {
        let (jobs, received) = channel();
        let work = move || {
            for job in received {
                if let Some(result) = accelerator.run(job)
                    && events.send(Event::Done(result)).is_err()
                {
                    return;
                }
            }
        };
        let thread =
            std::thread::Builder::new().name("caracal-accel".into()).spawn(work).map_err(|_| DriverError::Thread("accelerator"))?;
        Ok(Self { jobs: Some(jobs), thread: Some(thread) })
    }

    fn ask(&self, job: Job) -> Result<(), DriverError> {
        self.jobs.as_ref().and_then(|jobs| jobs.send(job).ok()).ok_or(DriverError::Thread("accelerator"))
    }
}

impl Drop for AcceleratorThread {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// The voice network, or something that knows when speech is without listening.
pub trait Voice: Send {
    /// Takes a hop; appends a probability for each window that it completed.
    ///
    /// # Errors
    /// [`VadError`].
    fn hear(&mut self, hop: &Hop, out: &mut Vec<SpeechProbability>) -> Result<(), VadError>;
}

impl Voice for (SileroVad, SileroState) {
    fn hear(&mut self, hop: &Hop, out: &mut Vec<SpeechProbability>) -> Result<(), VadError> {
        self.0.push(&mut self.1, &hop.samples, out)
    }
}

/// The driver.
pub struct Driver<D> {
    conversation: Conversation,
    settings: DriverSettings,
    clock: Clock,
    voice: Box<dyn Voice>,
    activity: VoiceActivity,
    accelerator: AcceleratorThread,
    /// The way to the cluster.
    pub door: D,
    dial: Dial,
    redial: Redial,
    sink: Box<dyn Sink>,
    events: Receiver<Event>,
    observer: Observer,
    recorder: Option<Recorder>,
    /// Time of the hop that is being worked on when time is that of a file.
    file_time: Option<Micros>,
}

impl<D: Door> Driver<D> {
    /// Puts the parts together and dials. With `real_time` off, session time is that of the hops that come, so that a file
    /// may be worked through as fast as possible.
    #[allow(clippy::too_many_arguments, reason = "each part is made elsewhere and used here only")]
    pub fn start(
        mut settings: DriverSettings,
        voice: Box<dyn Voice>,
        accelerator: AcceleratorThread,
        door: D,
        sink: Box<dyn Sink>,
        events: Receiver<Event>,
        observer: Observer,
        clock: Clock,
        real_time: bool,
    ) -> Self {
        settings.conversation.ticket = settings.ticket_file.as_deref().and_then(read_ticket);
        let conversation = Conversation::new(&settings.conversation);
        let activity = VoiceActivity::new(settings.activity);
        let file_time = (!real_time).then_some(Micros(0));
        let recorder = settings.timeline.then(Recorder::default);
        let mut driver = Self {
            conversation,
            settings,
            clock,
            voice,
            activity,
            accelerator,
            door,
            dial: Dial(0),
            redial: Redial::default(),
            sink,
            events,
            observer,
            recorder,
            file_time,
        };
        driver.dial();
        driver
    }

    /// The machines, for those who look.
    pub fn conversation(&self) -> &Conversation {
        &self.conversation
    }

    /// Session time.
    pub fn now(&self) -> Micros {
        self.file_time.unwrap_or_else(|| self.clock.now())
    }

    /// Works until the user leaves or `until` says so; it is asked after every event.
    ///
    /// # Errors
    /// [`DriverError`]. The session may still be finished.
    pub fn run(&mut self, mut until: impl FnMut(&Conversation) -> bool) -> Result<(), DriverError> {
        self.run_with(|driver| until(&driver.conversation))
    }

    /// The same for someone who also wants the door or the time.
    ///
    /// # Errors
    /// [`DriverError`].
    pub fn run_with(&mut self, mut until: impl FnMut(&Self) -> bool) -> Result<(), DriverError> {
        while !until(self) {
            let now = self.now();
            if self.redial.take_due(now) {
                self.dial();
            }
            let due = [self.conversation.deadline(), self.redial.due()].into_iter().flatten().min();
            let wait = match (self.file_time, due) {
                (None, Some(due)) => Duration::from_micros(due.0.saturating_sub(now.0)).min(IDLE_WAIT),
                _ => IDLE_WAIT,
            };
            match self.events.recv_timeout(wait) {
                Ok(Event::Leave) => break,
                Ok(event) => self.happen(event)?,
                Err(RecvTimeoutError::Timeout) => self.handle(Input::Tick)?,
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        Ok(())
    }

    /// Ends the session, or keeps it for the next start, and closes what is open. Returns the timeline, if one was kept.
    ///
    /// # Errors
    /// [`DriverError::Sink`].
    pub fn finish(mut self, keep_session: bool) -> Result<Option<Timeline>, DriverError> {
        if !keep_session {
            self.handle(Input::Leave)?;
        }
        self.door.leave();
        self.sink.stop()?;
        Ok(self.recorder.map(Recorder::finish))
    }

    fn happen(&mut self, event: Event) -> Result<(), DriverError> {
        if let Some(recorder) = &mut self.recorder {
            let now = self.file_time.unwrap_or_else(|| self.clock.now());
            let rate = self.settings.conversation.speaker_rate;
            match &event {
                Event::Hop(hop) => {
                    let (samples, bytes) = self.conversation.depths();
                    recorder.hop(now, hop);
                    recorder.depths(now, samples, rate, bytes);
                }
                Event::Done(result) => recorder.done(now, result, rate),
                Event::Door(dial, DoorEvent::Received(message)) if *dial == self.dial => recorder.received(now, message),
                _ => {}
            }
        }
        match event {
            Event::Hop(hop) => self.hop(&hop),
            Event::Shot(shot) => self.handle(Input::Camera(shot.picture)),
            Event::Show(shot) => self.handle(Input::Show(shot.picture)),
            Event::Done(result) => self.handle(Input::Done(result)),
            Event::Door(dial, event) if dial == self.dial => match event {
                DoorEvent::Linked(welcome) => {
                    self.redial.linked(self.now());
                    self.handle(Input::Linked(welcome))
                }
                DoorEvent::Received(message) => self.handle(Input::Received(message)),
                DoorEvent::Unlinked(why) => {
                    tracing::info!(session_us = self.now().0, why, "the connection is gone; dialling again");
                    self.hang_up(false);
                    self.handle(Input::Unlinked)
                }
                DoorEvent::Refused(refusal) if refusal.reason.is_final() => Err(DriverError::Refused(refusal)),
                DoorEvent::Refused(refusal) => {
                    tracing::warn!(session_us = self.now().0, reason = refusal.reason.word(), refusal.text, "the cluster refuses");
                    self.hang_up(refusal.reason.may_pass());
                    self.handle(Input::Refused(refusal))
                }
            },
            // Of a connection that was given up.
            Event::Door(..) | Event::Leave => Ok(()),
        }
    }

    fn hop(&mut self, hop: &Hop) -> Result<(), DriverError> {
        if let Some(time) = &mut self.file_time {
            *time = Micros(time.0 + 10_000);
        }
        self.handle(Input::Hop(Box::new(hop.samples)))?;
        let mut windows = Vec::new();
        self.voice.hear(hop, &mut windows)?;
        for window in windows {
            if let Some(event) = self.activity.handle(window) {
                self.handle(Input::Voice(event))?;
            }
        }
        self.handle(Input::Pull)
    }

    fn handle(&mut self, input: Input) -> Result<(), DriverError> {
        let now = self.now();
        self.conversation.handle(now, input);
        while let Some(output) = self.conversation.poll() {
            match output {
                Output::Job(job) => {
                    if let Some(recorder) = &mut self.recorder {
                        recorder.job(now, &job);
                    }
                    self.accelerator.ask(job)?;
                }
                Output::Control(message) => {
                    if let Some(recorder) = &mut self.recorder {
                        recorder.control(now, &message);
                    }
                    self.door.control(message);
                }
                Output::Vision(message) => {
                    if let Some(recorder) = &mut self.recorder {
                        recorder.vision(now, &message);
                    }
                    self.door.vision(message);
                }
                Output::Block(block) => {
                    if let (Some(attempt), Some(recorder)) = (block.attempt, &mut self.recorder) {
                        recorder.block(now, attempt);
                    }
                    self.sink.play(&block.samples)?;
                }
                Output::Ticket(ticket) => self.keep(ticket),
                Output::Reconnect => self.hang_up(false),
                Output::Story(story) => {
                    tracing::debug!(session_us = now.0, ?story);
                    if let Some(recorder) = &mut self.recorder {
                        recorder.story(now, &story);
                    }
                    (self.observer)(now, &story);
                }
            }
        }
        Ok(())
    }

    /// Listens no more to the connection that stands, if any, and dials another in its time.
    fn hang_up(&mut self, must_wait: bool) {
        self.dial.0 += 1;
        self.redial.lost(self.now(), must_wait);
    }

    fn dial(&mut self) {
        let hello = Hello {
            version: VERSION,
            token: self.settings.token.clone(),
            model: self.settings.model.clone(),
            resume: self.conversation.resume(),
        };
        self.door.dial(self.dial, hello);
    }

    /// A ticket that cannot be kept costs a restart its session, no more.
    fn keep(&self, ticket: Option<Ticket>) {
        let Some(file) = &self.settings.ticket_file else { return };
        let kept = match ticket {
            Some(ticket) => write_private(file, &ticket.0),
            None => std::fs::remove_file(file).or_else(|e| if e.kind() == std::io::ErrorKind::NotFound { Ok(()) } else { Err(e) }),
        };
        if let Err(error) = kept {
            tracing::warn!(file = %file.display(), %error, "the session's ticket cannot be kept: a restart will begin a new session");
        }
    }
}

fn read_ticket(file: &std::path::Path) -> Option<Ticket> {
    let bytes: [u8; TICKET_BYTES] = std::fs::read(file).ok()?.try_into().ok()?;
    Some(Ticket(bytes))
}

/// Whoever reads the ticket has the session.
fn write_private(file: &std::path::Path, bytes: &[u8]) -> std::io::Result<()> {
    use std::io::Write;
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(file)?.write_all(bytes)
}
