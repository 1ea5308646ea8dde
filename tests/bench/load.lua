-- wrk -s load.lua URL -- METHOD [BODY_FILE PREFIX]
-- Where the body holds MARKERs, every request gets an identity of its own in their place. At the end one line of
-- JSON tells what was measured; wrk's own text has no p99 by itself, and rounds.

local MARKER = "@@@@@@@@@@@@@@@@@@@@@@@@"

function init(args)
  wrk.method = args[1]
  if not args[2] then return end
  local file = assert(io.open(args[2], "rb"))
  wrk.body = file:read("*a")
  file:close()
  if wrk.body:find(MARKER, 1, true) then fill_in(wrk.format(), args[3]) end
end

-- An identity is as long as the MARKER, so Content-Length stays right and the rest is put together only once.
function fill_in(template, prefix)
  local pieces, places, start = {}, {}, 1
  while true do
    local first, last = template:find(MARKER, start, true)
    if not first then break end
    pieces[#pieces + 1] = template:sub(start, first - 1)
    pieces[#pieces + 1] = ""
    places[#places + 1] = #pieces
    start = last + 1
  end
  pieces[#pieces + 1] = template:sub(start)
  local count = 0
  request = function()
    count = count + 1
    local identity = string.format("%s%012d", prefix, count)
    for _, place in ipairs(places) do pieces[place] = identity end
    return table.concat(pieces)
  end
end

function done(summary, latency, _)
  local errors = summary.errors
  io.write(string.format(
    '{"requests":%d,"microseconds":%d,"p50":%.0f,"p99":%.0f,"status":%d,"socket":%d}\n',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),
    errors.status, errors.connect + errors.read + errors.write + errors.timeout))
end
