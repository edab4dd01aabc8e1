-- Forgets a user: the history now, the events with the next ingest.
--
-- KEYS[1] the partition's stream    KEYS[2] the user's history    ARGV[1 .. 2] field and JSON of the entry
-- Returns 1 where there was a history, else 0.

local histories = redis.call("DEL", KEYS[2]) -- first: a full Redis refuses a script only before its first write
redis.call("XADD", KEYS[1], "*", ARGV[1], ARGV[2])
return histories
