-- What HAProxy cannot say in its own file: wait. Right after a start or a reload a process knows neither the addresses of
-- the nodes, which its name server tells it, nor who has which tag, which the process before it tells it. Both take
-- milliseconds, in which a request would be refused, or sent to a node that does not know its session.

local FRESH = 5      -- seconds after its start in which a process may not know yet; later, what is unknown is wrong
local SETTLED = 200  -- milliseconds that the other nodes' addresses may take after the first one's
local STEP = 20      -- milliseconds between two looks

local function now()
    local time = core.now()
    return time.sec * 1000 + math.floor(time.usec / 1000)
end

local began = now()
local first_node

local function known(txn, sid)
    if first_node == nil then
        if txn.f:nbsrv("nodes") == 0 then
            return false
        end
        first_node = now()
    end
    return now() - first_node >= SETTLED and (sid == nil or txn.c:in_table(sid:sub(1, 4), "nodes"))
end

core.register_action("wait_for_nodes", { "http-req" }, function(txn)
    local sid = txn.f:url_param("sid")
    while not known(txn, sid) do
        if now() - began > FRESH * 1000 then
            txn:set_var("proc.settled", true)
            return
        end
        core.msleep(STEP)
    end
end)
