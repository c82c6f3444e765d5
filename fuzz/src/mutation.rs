//! Damage that knows where messages, lengths and counts are.

use fastrand::Rng;

use crate::MESSAGE_MAX;
use crate::stream::{Message, Stream};

/// The tags of all messages of a server, and one that is none.
const TAGS: &[u8] = b"123AcCdDEGHIKnNRsSTtvVWZ?";

/// Numbers at which counts and lengths go wrong.
const NUMBERS: [i64; 14] = [
    0,
    1,
    2,
    -1,
    -2,
    0x7f,
    0xff,
    0x7fff,
    0x8000,
    0xffff,
    0x7fff_ffff,
    -0x8000_0000,
    25,
    MESSAGE_MAX as i64,
];

/// Damages `stream` a few times; `others` lend messages to it.
pub fn mutate(stream: &mut Stream, others: &[Stream], random: &mut Rng) {
    // Seldom many: what is damaged early hides what comes later.
    let count = match random.u8(..) {
        0..8 => 0,
        8..128 => 1,
        128..200 => 2,
        _ => random.usize(3..10),
    };
    for _ in 0..count {
        mutate_once(stream, others, random);
    }
}

fn mutate_once(stream: &mut Stream, others: &[Stream], random: &mut Rng) {
    if stream.turns.is_empty() {
        return;
    }
    let at = random.usize(..stream.turns.len());
    match random.u8(..20) {
        0 => drop(stream.turns.remove(at)),
        1 => {
            let turn = stream.turns[at].clone();
            stream.turns.insert(at, turn);
        }
        2 => {
            let other = random.usize(..stream.turns.len());
            stream.turns.swap(at, other);
        }
        3 => {
            // Two turns at once: what follows comes before it was asked for.
            let turn = stream.turns.remove(at);
            match stream.turns.get_mut(at) {
                Some(next) => next.splice(0..0, turn).for_each(drop),
                None => stream.turns.push(turn),
            }
        }
        _ => mutate_turn(&mut stream.turns[at], others, random),
    }
}

fn mutate_turn(turn: &mut Vec<Message>, others: &[Stream], random: &mut Rng) {
    let place = random.usize(..=turn.len());
    if random.u8(..8) == 0 {
        if let Some(message) = lent(others, random) {
            turn.insert(place, message);
        }
        return;
    }
    if turn.is_empty() {
        return;
    }
    let place = place.min(turn.len() - 1);
    match random.u8(..12) {
        0 => drop(turn.remove(place)),
        1 => turn.insert(place, turn[place].clone()),
        2 => {
            let other = random.usize(..turn.len());
            turn.swap(place, other);
        }
        3 => turn.truncate(place),
        _ => mutate_message(&mut turn[place], random),
    }
}

fn lent(others: &[Stream], random: &mut Rng) -> Option<Message> {
    let messages: Vec<&Message> = random.choice(others)?.messages().collect();
    random.choice(messages).cloned()
}

fn mutate_message(message: &mut Message, random: &mut Rng) {
    let body = &mut message.body;
    match random.u8(..12) {
        0 => message.tag = *random.choice(TAGS).unwrap_or(&0),
        1 => message.announced = Some(number(random) as u32),
        2 => {
            let near = (body.len() as u32 + 4).wrapping_add_signed(random.i32(-6..6));
            message.announced = Some(near);
        }
        3 => message.garbage = bytes(random),
        4 => body.truncate(random.usize(..=body.len())),
        5 => body.extend(bytes(random)),
        6 => {
            let place = random.usize(..=body.len());
            body.splice(place..place, bytes(random)).for_each(drop);
        }
        7 => {
            let place = random.usize(..=body.len());
            let end = random.usize(place..=body.len());
            body.drain(place..end);
        }
        8 => overwrite(body, &(number(random) as i16).to_be_bytes(), random),
        9 => overwrite(body, &(number(random) as i32).to_be_bytes(), random),
        10 => {
            let place = random.usize(..=body.len());
            let part: Vec<u8> = body[..place].to_vec();
            body.extend(part);
        }
        _ => overwrite(body, &[random.u8(..)], random),
    }
}

fn overwrite(body: &mut [u8], bytes: &[u8], random: &mut Rng) {
    if let Some(most) = body.len().checked_sub(bytes.len()) {
        // Counts and lengths stand at the front more often than not.
        let place = match random.bool() {
            true => random.usize(..=most),
            false => random.usize(..=most.min(12)),
        };
        body[place..place + bytes.len()].copy_from_slice(bytes);
    }
}

fn number(random: &mut Rng) -> i64 {
    match random.u8(..4) {
        0 => i64::from(random.i32(..)),
        _ => *random.choice(&NUMBERS).unwrap_or(&0),
    }
}

fn bytes(random: &mut Rng) -> Vec<u8> {
    let length = random.usize(1..24);
    (0..length).map(|_| random.u8(..)).collect()
}
