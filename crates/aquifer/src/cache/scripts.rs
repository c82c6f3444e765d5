//! What is done in Redis in one go. Each script has one key, at least in a cluster, and may run twice.
//!
//! Who changes a stamp says so on the channel of the namespace, to those who can't be told by the server
//! itself. It is said by the script, thus by the server that has the stamp, and in the order of changes.
//! Where nobody listens it costs a look.

/// Says that the stamp has changed. Without the right to, nobody has the right to listen either.
macro_rules! with_tell {
    ($script:literal) => {
        concat!(
            "
local function tell(key)
  local channel = string.match(key, '^[^#]*#') .. 'changes'
  local listeners = redis.pcall('PUBSUB', 'NUMSUB', channel)
  if type(listeners) == 'table' and not listeners.err and tonumber(listeners[2] or 0) > 0 then
    redis.pcall('PUBLISH', channel, key)
  end
end",
            $script
        )
    };
}

/// Puts the next stamp in the place of the present one, of a new life if there is none that can be
/// read. KEYS: the stamp. ARGV: a life that never was, for how many milliseconds it is kept at least (0
/// for ever), the position of the write.
pub(super) const BUMP: &str = with_tell!(
    "
local text = redis.pcall('GET', KEYS[1])
local life, version, position, doubt
if type(text) == 'string' then
  life, version, position, doubt = string.match(text, '^(%x+):(%d+):(%x+)(%??)$')
end
if not life or #life ~= 16 or #position ~= 16 then
  life, version, position, doubt = ARGV[1], '0', '0000000000000000', '?'
end
if ARGV[3] > position then position = ARGV[3] end
text = life .. ':' .. string.format('%.0f', tonumber(version) + 1) .. ':' .. position .. doubt
local ttl = tonumber(ARGV[2])
local left = redis.call('PTTL', KEYS[1])
if ttl == 0 or left == -1 then
  redis.call('SET', KEYS[1], text)
else
  redis.call('SET', KEYS[1], text, 'PX', math.max(ttl, left))
end
tell(KEYS[1])
return text"
);

/// Puts the next stamps in the places of the present ones. Where there is none, nothing that is kept from
/// now on depends on it: who makes it reads the database later. KEYS: the stamps, in a cluster one.
pub(super) const BUMP_PRESENT: &str = with_tell!(
    "
for _, key in ipairs(KEYS) do
  local text = redis.pcall('GET', key)
  local life, version, rest
  if type(text) == 'string' then
    life, version, rest = string.match(text, '^(%x+):(%d+):(%x+%??)$')
  end
  if life then
    text = life .. ':' .. string.format('%.0f', tonumber(version) + 1) .. ':' .. rest
    redis.call('SET', key, text, 'KEEPTTL')
  end
  tell(key)
end
return 1"
);

/// Puts a stamp in the place of the present one, whatever that is. KEYS: the stamp. ARGV: its text.
pub(super) const RENEW: &str = with_tell!(
    "
redis.call('SET', KEYS[1], ARGV[1])
tell(KEYS[1])
return 1"
);

/// Makes the first stamp of a life, unless there is one that can be read. KEYS and ARGV as for a bump,
/// without the position.
pub(super) const ENSURE: &str = "
local text = redis.pcall('GET', KEYS[1])
if type(text) == 'string' then
  local life, position = string.match(text, '^(%x+):%d+:(%x+)%??$')
  if life and #life == 16 and #position == 16 then return text end
end
text = ARGV[1] .. ':0:0000000000000000?'
if ARGV[2] == '0' then
  redis.call('SET', KEYS[1], text)
else
  redis.call('SET', KEYS[1], text, 'PX', ARGV[2])
end
return text";

/// Stores a value, unless one of a later write is there: of the same lives of the stamps of the key and of
/// the namespace, and of a later version of the first. KEYS: the entry. ARGV: the envelope, its time in
/// milliseconds.
pub(super) const PUT: &str = "
local old = redis.pcall('GETRANGE', KEYS[1], 0, 96)
if type(old) == 'string' and #old == 97 and string.sub(old, 1, 3) == 'AQ1'
  and string.sub(old, 34, 49) == string.sub(ARGV[1], 34, 49)
  and string.sub(old, 66, 97) == string.sub(ARGV[1], 66, 97)
  and string.match(string.sub(old, 50, 65), '^%x+$')
  and string.sub(old, 50, 65) > string.sub(ARGV[1], 50, 65) then
  return 0
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1";

/// Changes for how long a value is fresh; that it is kept longer than that stays. KEYS: the entry. ARGV: the
/// time in milliseconds.
pub(super) const EXPIRE: &str = "
local head = redis.pcall('GETRANGE', KEYS[1], 0, 28)
local stale = 0
if type(head) == 'string' and #head == 29 and string.sub(head, 1, 3) == 'AQ1' then
  local fresh, kept = struct.unpack('<I8I8', string.sub(head, 13))
  stale = kept - fresh
end
return redis.call('PEXPIRE', KEYS[1], string.format('%.0f', math.min(tonumber(ARGV[1]) + stale, 3153600000000)))";

/// Claims a load, unless somebody has who began it under the same stamps. KEYS: the claim. ARGV: its text,
/// of which the first 16 digits tell the stamps; its time in milliseconds.
pub(super) const CLAIM: &str = "
local there = redis.pcall('GET', KEYS[1])
if type(there) == 'string' and there ~= ARGV[1]
  and string.sub(there, 1, 16) == string.sub(ARGV[1], 1, 16) then
  return 0
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1";

/// Prolongs a claim that is still ours. KEYS and ARGV as for the claim.
pub(super) const PROLONG: &str = "
if redis.pcall('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('PEXPIRE', KEYS[1], ARGV[2])";

/// Gives up a claim that is still ours. KEYS and ARGV as for the claim.
pub(super) const RELEASE: &str = "
if redis.pcall('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('UNLINK', KEYS[1])";

/// Says of a stamp that it has changed although it has not: whoever depends on it asks again. KEYS: the
/// stamp. ARGV: for how many milliseconds it is kept at least.
pub(super) const TOUCH: &str = with_tell!(
    "
local text = redis.pcall('GET', KEYS[1])
if type(text) ~= 'string' then return 0 end
local left = redis.call('PTTL', KEYS[1])
if left == -1 then
  redis.call('SET', KEYS[1], text)
else
  redis.call('SET', KEYS[1], text, 'PX', math.max(left, tonumber(ARGV[1])))
end
tell(KEYS[1])
return 1"
);

/// Removes what can't be read, unless something else is there by now. KEYS: the entry. ARGV: what was
/// read.
pub(super) const DISCARD: &str = "
if redis.pcall('GET', KEYS[1]) == ARGV[1] then return redis.call('UNLINK', KEYS[1]) end
return 0";
