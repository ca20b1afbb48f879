//! Portcullis, an API gateway: one binary between clients and services.

mod app;
mod cli;
mod endpoints;
mod first_checks;
mod issuers;
mod life;
mod manager;
mod passed;
mod pid_file;
mod reload;
mod scrape;
mod shutdown;
mod stores;
mod upgrade;
mod watch;

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    cli::run()
}
