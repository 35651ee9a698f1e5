-- Every tenth request is a slow one, counted over all connections of the thread.
local fast, slow
local count = 0

init = function(args)
  fast = wrk.format("GET", "/fast")
  slow = wrk.format("GET", "/slow")
end

request = function()
  count = count + 1
  if count % 10 == 0 then return slow end
  return fast
end
