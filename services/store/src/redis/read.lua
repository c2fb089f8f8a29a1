-- Several reads at one instant.
--
-- KEYS holds the keys of all queries in their order, ARGV the queries. The answer has one element per query.
local call, keys, args, slice = redis.call, KEYS, ARGV, unpack
local k, a = 0, 0
local last = #args
local answers = {}

-- unpack cannot take more than some thousand values.
local STEP = 4000

local function fields(hash, names, first, count)
  local values = {}
  for from = first, first + count - 1, STEP do
    local to = math.min(from + STEP, first + count) - 1
    local some = call("HMGET", hash, slice(names, from, to))
    if count <= STEP then
      return some
    end
    for i = 1, to - from + 1 do
      values[#values + 1] = some[i]
    end
  end
  return values
end

while a < last do
  local kind = args[a + 1]
  k = k + 1
  if kind == "g" then
    answers[#answers + 1] = call("GET", keys[k])
    a = a + 1
  elseif kind == "f" then
    local count = tonumber(args[a + 2])
    answers[#answers + 1] = fields(keys[k], args, a + 3, count)
    a = a + 2 + count
  else
    local members = call(kind, keys[k], args[a + 2], args[a + 3], "LIMIT", "0", args[a + 4])
    k = k + 1
    answers[#answers + 1] = members
    answers[#answers + 1] = fields(keys[k], members, 1, #members)
    a = a + 4
  end
end
return answers
