//! Measures loading: how long 50,000 routes take at first, and how long it takes when one of them
//! changes. Run it with `cargo run --release -p portcullis-config --example reload`.
#![expect(clippy::print_stdout, reason = "its output is its purpose")]

use std::error::Error;
use std::fmt::Write;
use std::path::Path;
use std::time::Instant;

use portcullis_config::Loader;

const ROUTES: usize = 50_000;
const FILES: usize = 50;

fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::temp_dir().join(format!("portcullis-reload-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let outcome = measure(&folder);
    std::fs::remove_dir_all(&folder)?;
    outcome
}

fn measure(folder: &Path) -> Result<(), Box<dyn Error>> {
    let one = folder.join("one.yaml");
    let write_one =
        |marks: &dyn Fn(usize) -> usize| std::fs::write(&one, head() + &routes(0..ROUTES, marks));
    reloads("one file", &one, &|marks| Ok(write_one(marks)?))?;

    let many = folder.join("many");
    std::fs::create_dir_all(&many)?;
    let write_many = |marks: &dyn Fn(usize) -> usize| {
        std::fs::write(many.join("00.yaml"), head())?;
        for part in 0..FILES {
            let range = part * ROUTES / FILES..(part + 1) * ROUTES / FILES;
            std::fs::write(
                many.join(format!("r{part:02}.yaml")),
                format!("routes:\n{}", routes(range, marks)),
            )?;
        }
        Ok(())
    };
    reloads("a folder of 50 files", &many, &write_many)
}

type Writer<'a> = dyn Fn(&dyn Fn(usize) -> usize) -> Result<(), Box<dyn Error>> + 'a;

fn reloads(what: &str, path: &Path, write: &Writer<'_>) -> Result<(), Box<dyn Error>> {
    write(&|_| 0)?;
    let mut loader = Loader::new(path);
    let begin = Instant::now();
    let mut running = loader.load()?;
    println!("{what}: first load of {} routes {:?}", running.config.routes.len(), begin.elapsed());
    let mut times = Vec::new();
    for round in 1..=15 {
        let changed = round * ROUTES / 17;
        write(&move |route| if route == changed { round } else { 0 })?;
        let begin = Instant::now();
        let loaded = loader.load()?;
        times.push(begin.elapsed());
        assert_eq!(loaded.changes.routes.changed.len(), if round == 1 { 1 } else { 2 });
        running = loaded;
    }
    times.sort();
    println!(
        "{what}: two changed routes, median {:?}, longest {:?}",
        times[times.len() / 2],
        times[times.len() - 1]
    );
    let begin = Instant::now();
    let same = loader.load()?;
    println!("{what}: nothing changed {:?}", begin.elapsed());
    assert!(same.changes.is_empty());
    drop(running);
    Ok(())
}

fn head() -> String {
    "listeners:\n  web:\n    address: \"127.0.0.1:0\"\nservices:\n  users:\n    endpoints: [\"127.0.0.1:9000\"]\nroutes:\n".to_owned()
}

fn routes(range: std::ops::Range<usize>, marks: &dyn Fn(usize) -> usize) -> String {
    let mut text = String::new();
    for route in range {
        let mark = marks(route);
        let _ = write!(
            text,
            "  route-{route}:\n    match:\n      host: api{}.example.com\n      path: \"/tenant{route}/v{mark}/{{id}}/items\"\n      methods: [GET, POST]\n    service: users\n    timeouts:\n      first_byte: 5s\n",
            route % 100
        );
    }
    text
}
