//! A service with a state for each connection and one for all: a sensor hub.
//!
//! Each peer sends readings, one number a line, and is told the mean of its own and of all. The
//! key that it holds is its name.
//!
//! ```console
//! $ countersign keygen garden --keys keys; countersign keygen cellar --keys keys
//! $ cargo run --example state -- keys
//! $ printf '20\n22\n' | countersign connect 127.0.0.1:9527 --keys keys --key garden
//! ```

use std::io::Write as _;

use countersign::{CloseReason, KeyRing, KeyRingExt as _, Peer, Reply, Server, Service};

/// The mean of some readings.
#[derive(Debug, Default, Clone, Copy)]
struct Mean {
    count: u32,
    sum: f64,
}

impl Mean {
    fn add(&mut self, reading: f64) {
        self.count += 1;
        self.sum += reading;
    }

    fn value(self) -> f64 {
        self.sum / f64::from(self.count.max(1))
    }
}

/// What the hub knows of all its sensors.
#[derive(Debug, Default)]
struct Hub {
    all: Mean,
}

/// What it knows of one.
struct Sensor {
    name: String,
    mean: Mean,
}

impl Service for Hub {
    type State = Sensor;

    fn open(&mut self, peer: &Peer<'_>, _reply: &mut Reply<'_>) -> Sensor {
        Sensor { name: peer.key().unwrap_or("nobody").to_owned(), mean: Mean::default() }
    }

    fn message(&mut self, sensor: &mut Sensor, message: &[u8], reply: &mut Reply<'_>) {
        let reading = str::from_utf8(message).ok().and_then(|text| text.trim().parse().ok());
        let Some(reading) = reading else { return reply.message(b"not a number") };
        sensor.mean.add(reading);
        self.all.add(reading);
        // Writing to a reply never fails.
        let (name, mean, all) = (&sensor.name, sensor.mean.value(), self.all.value());
        let _ = write!(reply, "{name} {mean:.1}, all {all:.1}");
    }

    fn close(&mut self, sensor: Sensor, why: CloseReason) {
        println!("{} sent {} readings: {why}", sensor.name, sensor.mean.count);
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let keys = KeyRing::from_file(std::env::args().nth(1).unwrap_or("keys".into()))?;
    Ok(Server::bind("127.0.0.1:9527", keys, Hub::default())?.run()?)
}
