-- Several commits, each whole or not at all.
--
-- KEYS holds the keys of all operations in their order. ARGV holds, after the number of commits, for each commit: how many
-- keys and arguments it has, how many groups of checks, the groups of checks, and then groups of writes until its arguments
-- end. The answer has one element per commit: 1, or a list of positions and of what was found there.
local call, keys, args, slice = redis.call, KEYS, ARGV, unpack
local k, a = 0, 1
local answers = {}

-- What is asked of several members or fields of a key; one alone has a command of its own.
local function ask(one, many, key, first, count)
  if count == 1 then
    return { call(one, key, args[first]) }
  end
  return call(many, key, slice(args, first, first + count - 1))
end

-- Consecutive checks of one index: the kind, how many, their members. A member without a value is not in the hash.
local function check_members(conflicts, position, kind)
  local count = tonumber(args[a + 2])
  local first = a + 3
  local scores = ask("ZSCORE", "ZMSCORE", keys[k + 1], first, count)
  for i = 1, count do
    local present = scores[i] ~= false
    if present ~= (kind == "m") then
      conflicts[#conflicts + 1] = position + i - 1
      conflicts[#conflicts + 1] = present and (call("HGET", keys[k + 2], args[first + i - 1]) or "")
    end
  end
  a = first - 1 + count
  k = k + 2
  return position + count
end

-- Consecutive checks of one hash: the kind, how many, their fields, and for kind "=" the values.
local function check_fields(conflicts, position, kind)
  local count = tonumber(args[a + 2])
  local first = a + 3
  local values = ask("HGET", "HMGET", keys[k + 1], first, count)
  a = first - 1 + count
  for i = 1, count do
    local value = values[i]
    local holds
    if kind == "=" then
      holds = value == args[a + i]
    else
      holds = value == false
    end
    if not holds then
      conflicts[#conflicts + 1] = position + i - 1
      conflicts[#conflicts + 1] = value
    end
  end
  if kind == "=" then
    a = a + count
  end
  k = k + 1
  return position + count
end

local function check(groups)
  local conflicts, position = {}, 0
  for _ = 1, groups do
    local kind = args[a + 1]
    if kind == "r" then
      k = k + 1
      -- A record begins with its version; an absent one has the empty version.
      if call("GETRANGE", keys[k], "0", "7") ~= args[a + 2] then
        conflicts[#conflicts + 1] = position
        conflicts[#conflicts + 1] = call("GET", keys[k])
      end
      a = a + 2
      position = position + 1
    elseif kind == "m" or kind == "n" then
      position = check_members(conflicts, position, kind)
    else
      position = check_fields(conflicts, position, kind)
    end
  end
  return conflicts
end

local function insert(first, count)
  k = k + 2
  local last = first + 2 * count - 1
  call("HSET", keys[k], slice(args, first, last))
  if count == 1 then
    call("ZADD", keys[k - 1], "0", args[first])
    return
  end
  local members = {}
  for i = first, last, 2 do
    members[#members + 1] = "0"
    members[#members + 1] = args[i]
  end
  call("ZADD", keys[k - 1], slice(members))
end

-- Members without values. One that had a value until now loses it.
local function mark(first, count)
  k = k + 2
  local added
  if count == 1 then
    added = call("ZADD", keys[k - 1], "0", args[first])
  else
    local members = {}
    for i = first, first + count - 1 do
      members[#members + 1] = "0"
      members[#members + 1] = args[i]
    end
    added = call("ZADD", keys[k - 1], slice(members))
  end
  if added < count then
    call("HDEL", keys[k], slice(args, first, first + count - 1))
  end
end

local function put(first, count)
  if count == 1 then
    k = k + 1
    call("SET", keys[k], args[first])
    return
  end
  local pairs = {}
  for i = 0, count - 1 do
    pairs[2 * i + 1] = keys[k + 1 + i]
    pairs[2 * i + 2] = args[first + i]
  end
  k = k + count
  call("MSET", slice(pairs))
end

-- A sum beyond 64 bits stops at the end: an error here would leave half a commit.
local function add(delta)
  local sum = redis.pcall("INCRBY", keys[k], delta)
  if type(sum) == "table" and sum.err then
    local stop = delta:sub(1, 1) == "-" and "-9223372036854775808" or "9223372036854775807"
    call("SET", keys[k], stop, "KEEPTTL")
  end
end

local function write(last)
  while a < last do
    local kind = args[a + 1]
    if kind == "p" then
      local count = tonumber(args[a + 2])
      put(a + 3, count)
      a = a + 2 + count
    elseif kind == "P" then
      k = k + 1
      call("SET", keys[k], args[a + 2], "PX", args[a + 3])
      a = a + 3
    elseif kind == "z" then
      local count = tonumber(args[a + 2])
      mark(a + 3, count)
      a = a + 2 + count
    elseif kind == "i" then
      local count = tonumber(args[a + 2])
      insert(a + 3, count)
      a = a + 2 + 2 * count
    elseif kind == "s" then
      local count = tonumber(args[a + 2])
      k = k + 1
      call("HSET", keys[k], slice(args, a + 3, a + 2 + 2 * count))
      a = a + 2 + 2 * count
    elseif kind == "d" then
      local count = tonumber(args[a + 2])
      k = k + 1
      call("HDEL", keys[k], slice(args, a + 3, a + 2 + count))
      a = a + 2 + count
    elseif kind == "x" then
      local count = tonumber(args[a + 2])
      k = k + 2
      call("ZREM", keys[k - 1], slice(args, a + 3, a + 2 + count))
      call("HDEL", keys[k], slice(args, a + 3, a + 2 + count))
      a = a + 2 + count
    elseif kind == "a" then
      k = k + 1
      add(args[a + 2])
      a = a + 2
    elseif kind == "D" then
      k = k + 1
      call("UNLINK", keys[k])
      a = a + 1
    else
      k = k + 1
      call("PEXPIRE", keys[k], args[a + 2])
      a = a + 2
    end
  end
end

for commit = 1, tonumber(args[1]) do
  local last_key, last = k + tonumber(args[a + 1]), a + tonumber(args[a + 2])
  local groups = tonumber(args[a + 3])
  a = a + 3
  local conflicts = check(groups)
  if conflicts[1] == nil then
    write(last)
    answers[commit] = 1
  else
    answers[commit] = conflicts
  end
  k, a = last_key, last
end
return answers
