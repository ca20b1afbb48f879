//! Limits that several nodes share over Redis, from the scripts to whole gateways. Without
//! `redis-server` these tests are skipped, unless `PORTCULLIS_PEERS=required`.

mod scripts;
