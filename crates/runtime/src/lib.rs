//! What a process gets from outside: clock, randomness, shutdown, configuration, telemetry.
