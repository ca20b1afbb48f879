//! Many connections in one thread: Linux' epoll, edge-triggered, with waits shorter than a millisecond. The
//! standard library has none.

use std::ffi::c_void;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::time::Duration;

const EPOLL_CLOEXEC: i32 = 0o2000000;
const EPOLL_CTL_ADD: i32 = 1;
const EPOLLIN: u32 = 1;
const EPOLLOUT: u32 = 4;
const EPOLLET: u32 = 1 << 31;

/// Events taken at once.
const EVENTS: usize = 512;

/// `struct epoll_event`, which only x86-64 packs.
#[derive(Clone, Copy)]
#[cfg_attr(target_arch = "x86_64", repr(C, packed))]
#[cfg_attr(not(target_arch = "x86_64"), repr(C))]
struct Event {
    events: u32,
    token: u64,
}

#[repr(C)]
struct Time {
    seconds: i64,
    nanoseconds: i64,
}

unsafe extern "C" {
    safe fn epoll_create1(flags: i32) -> i32;
    fn epoll_ctl(poll: i32, operation: i32, descriptor: i32, event: *mut Event) -> i32;
    fn epoll_pwait2(
        poll: i32,
        events: *mut Event,
        most: i32,
        timeout: *const Time,
        signals: *const c_void,
    ) -> i32;
}

pub struct Poll {
    descriptor: OwnedFd,
    events: Vec<Event>,
}

impl Poll {
    pub fn new() -> io::Result<Self> {
        let number = epoll_create1(EPOLL_CLOEXEC);
        if number < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the system has just given us this descriptor, and nobody else knows it.
        let descriptor = unsafe { OwnedFd::from_raw_fd(number) };
        Ok(Self { descriptor, events: vec![Event { events: 0, token: 0 }; EVENTS] })
    }

    /// Tell of `source` by `token` whenever there is more to read or room to write, until it is closed.
    pub fn add(&self, source: &impl AsRawFd, token: u64) -> io::Result<()> {
        let mut event = Event { events: EPOLLIN | EPOLLOUT | EPOLLET, token };
        let (poll, source) = (self.descriptor.as_raw_fd(), source.as_raw_fd());
        // SAFETY: both descriptors are open, and the event outlives the call.
        match unsafe { epoll_ctl(poll, EPOLL_CTL_ADD, source, &raw mut event) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }

    /// The tokens of those that something has come to, after `longest` at the latest.
    pub fn wait(&mut self, longest: Duration, tokens: &mut Vec<u64>) -> io::Result<()> {
        let timeout = Time {
            seconds: longest.as_secs() as i64,
            nanoseconds: i64::from(longest.subsec_nanos()),
        };
        let (poll, most) = (self.descriptor.as_raw_fd(), EVENTS as i32);
        // SAFETY: there is room for as many events as is said, and all that is pointed at outlives the call.
        let count = unsafe {
            let events = self.events.as_mut_ptr();
            epoll_pwait2(poll, events, most, &raw const timeout, std::ptr::null())
        };
        tokens.clear();
        if count < 0 {
            let error = io::Error::last_os_error();
            let interrupted = error.kind() == io::ErrorKind::Interrupted;
            return if interrupted { Ok(()) } else { Err(error) };
        }
        tokens.extend(self.events[..count as usize].iter().map(|event| event.token));
        Ok(())
    }
}
