-- A dissector of countersign/1, raw, hex and Python's multiprocessing for Wireshark and tshark.
--
-- It names every field. With a key file it derives the keys of each connection as both ends do,
-- checks every proof and every tag, and opens sealed records. Three files beside it do that work:
--
--     tshark -X lua_script:clients/wireshark/countersign.lua -o countersign.keys:FILE -r CAPTURE
--
-- To install it, copy the folder into Wireshark's folder of plugins (Help, About, Folders).

local folder = debug.getinfo(1, "S").source:match("^@(.*[/\\])") or ""
-- Wireshark loads each file of a folder of plugins by itself.
local Keys = dofile(folder .. "keys.lua")
local Session = loadfile(folder .. "session.lua")(folder)

local countersign = Proto("countersign", "Countersign")

-- Preferences -----------------------------------------------------------------------------------

local DIALECTS = { "auto", "countersign/1", "raw", "hex", "multiprocessing", "open" }
local FRAMINGS = { "lines", "chunks", "length" }
local DIGESTS = { "sha256", "md5" }

local function choice(names, label, description)
    local rows = {}
    for i, name in ipairs(names) do
        rows[i] = { i, name, i }
    end
    return Pref.enum(label, 1, description, rows)
end

local prefs = countersign.prefs
prefs.ports = Pref.range("TCP ports", "9527", "The ports of servers", 65535)
prefs.keys = Pref.string("Key file", "", "To check proofs and tags, and open sealed records")
prefs.dialect = choice(DIALECTS, "Dialect", "Which dialect a server speaks that doesn't show it")
prefs.framing = choice(FRAMINGS, "Framing", "How messages are delimited that are not in records")
prefs.digest = choice(DIGESTS, "Digest", "The digest of proofs in raw and hex")

-- Fields ----------------------------------------------------------------------------------------

local FRAME_TYPES = { "Call", "Answer", "Confirm", "Accept", "Refusal" }
local RECORD_TYPES = {
    [0x04] = "Accept",
    [0x10] = "Data",
    [0x11] = "Ping",
    [0x12] = "Pong",
    [0x13] = "Close",
    [0x14] = "Batch",
}
local REFUSALS = { "Version", "Refused", "Busy or stopping", "Malformed", "Timed out" }
local STATUS = {
    [Session.BAD] = "Bad",
    [Session.GOOD] = "Good",
    [Session.UNCHECKED] = "Not checked",
}
local EXTENSIONS = { [1] = "Sealed records" }
local SUITES = { [1] = "ChaCha20-Poly1305" }

local fields = {}
countersign.fields = {}

local function field(name, make, label, ...)
    local made = make("countersign." .. name, label, ...)
    fields[name] = made
    table.insert(countersign.fields, made)
end

field("proxy", ProtoField.bytes, "PROXY header")
field("magic", ProtoField.bytes, "Magic")
field("nonce", ProtoField.bytes, "Server nonce")
field("frame.type", ProtoField.uint8, "Type", base.HEX, FRAME_TYPES)
field("frame.length", ProtoField.uint24, "Length")
field("hello.version_min", ProtoField.uint8, "Lowest version")
field("hello.version_max", ProtoField.uint8, "Highest version")
field("hello.version", ProtoField.uint8, "Version")
field("hello.status", ProtoField.uint8, "Status")
field("hello.flags", ProtoField.uint16, "Flags", base.HEX)
field("hello.flags.records", ProtoField.bool, "Records", 16, nil, 1)
field("hello.flags.required", ProtoField.bool, "Records required", 16, nil, 2)
field("hello.max_record", ProtoField.uint32, "Longest record")
field("hello.nonce", ProtoField.bytes, "Client nonce")
field("hello.instance", ProtoField.bytes, "Instance")
field("hello.key_id.length", ProtoField.uint8, "Key id length")
field("hello.key_id", ProtoField.string, "Key id")
field("hello.audience.length", ProtoField.uint8, "Audience length")
field("hello.audience", ProtoField.string, "Audience")
field("hello.extensions.length", ProtoField.uint16, "Extensions length")
field("hello.extension.id", ProtoField.uint16, "Extension", base.HEX, EXTENSIONS)
field("hello.extension.length", ProtoField.uint16, "Extension length")
field("hello.extension.value", ProtoField.bytes, "Extension value")
field("hello.extension.suite", ProtoField.uint8, "Suite", base.DEC, SUITES)
field("proof", ProtoField.bytes, "Proof")
field("proof.status", ProtoField.uint8, "Proof status", base.DEC, STATUS)
field("proof.key_id", ProtoField.string, "Key")
field("transcript", ProtoField.string, "Transcript hash")
field("refusal", ProtoField.uint8, "Refusal", base.DEC, REFUSALS)
field("record.number", ProtoField.uint32, "Record number")
field("record.type", ProtoField.uint8, "Type", base.HEX, RECORD_TYPES)
field("record.length", ProtoField.uint24, "Length")
field("record.status", ProtoField.uint8, "Status")
field("record.payload", ProtoField.bytes, "Payload")
field("record.sealed", ProtoField.bytes, "Sealed payload")
field("record.tag", ProtoField.bytes, "Tag")
field("record.tag.status", ProtoField.uint8, "Tag status", base.DEC, STATUS)
field("batch.length", ProtoField.uint24, "Length in the batch")
field("frame.header", ProtoField.bytes, "Length")
field("message.length", ProtoField.uint64, "Message length")
field("message", ProtoField.bytes, "Message")
field("message.text", ProtoField.string, "Text")
field("challenge", ProtoField.bytes, "Challenge")
field("verb", ProtoField.string, "Verb")
field("unknown", ProtoField.bytes, "Unknown bytes")

local warnings = {}
countersign.experts = {}

local function warning(name, text, kind, grade)
    warnings[name] = ProtoExpert.new("countersign." .. name, text, kind, grade)
    table.insert(countersign.experts, warnings[name])
end

local group, severity = expert.group, expert.severity
warning("proof.bad", "The proof is wrong: other keys, or changed on the way",
    group.SECURITY, severity.ERROR)
warning("tag.bad", "The tag is wrong: the record was changed, or records are missing before it",
    group.SECURITY, severity.ERROR)
warning("malformed", "Malformed", group.MALFORMED, severity.ERROR)
warning("refused", "The server refuses the client", group.RESPONSE_CODE, severity.NOTE)
warning("unsealed", "The key of the sealed records is not known", group.DECRYPTION, severity.NOTE)
warning("keys", "A line of the key file can't be used", group.UNDECODED, severity.WARN)

-- The tree --------------------------------------------------------------------------------------

-- Takes fields off a range, one after the other. What isn't there marks the tree as malformed.
local Cursor = {}
Cursor.__index = Cursor

local function cursor(range, tree)
    return setmetatable({ range = range, tree = tree, at = 0, left = range:len() }, Cursor)
end

function Cursor:malformed()
    self.left = 0
    self.tree:add_proto_expert_info(warnings["malformed"])
end

-- The next bytes, shown as a field; nil if there are fewer.
function Cursor:add(name, count, tree)
    if count > self.left then
        self:malformed()
        return nil
    elseif count == 0 then
        return nil
    end
    local part = self.range(self.at, count)
    self.at, self.left = self.at + count, self.left - count
    local item = (tree or self.tree):add(fields[name], part)
    return part, item
end

-- Shows a field as so many bytes and returns its value; 0 if it is not there.
function Cursor:number(name, count, tree)
    local part = self:add(name, count, tree)
    return part and part:uint() or 0
end

-- A cursor on the next bytes only.
function Cursor:part(count)
    if count > self.left then
        self:malformed()
        count = 0
    end
    local part = setmetatable(
        { range = self.range, tree = self.tree, at = self.at, left = count }, Cursor)
    self.at, self.left = self.at + count, self.left - count
    return part
end

function Cursor:done()
    if self.left > 0 then
        self:malformed()
    end
end

local function hex(text)
    return (text:gsub(".", function(byte)
        return string.format("%02x", byte:byte())
    end))
end

local function status(tree, name, found, what)
    tree:add(fields[name .. ".status"], found.status):set_generated()
    if found.status == Session.BAD then
        tree:add_proto_expert_info(warnings[what .. ".bad"])
    end
end

local function header(at, name)
    at:number(name .. ".type", 1)
    at:number(name .. ".length", 3)
end

local function flags(at)
    local part, item = at:add("hello.flags", 2)
    if part then
        item:add(fields["hello.flags.records"], part)
        item:add(fields["hello.flags.required"], part)
    end
end

local function extensions(at)
    local list = at:part(at:number("hello.extensions.length", 2))
    while list.left > 0 do
        local id = list:number("hello.extension.id", 2)
        local length = list:number("hello.extension.length", 2)
        if id == 1 then
            local suites = list:part(length)
            while suites.left > 0 do
                suites:number("hello.extension.suite", 1)
            end
        else
            list:add("hello.extension.value", length)
        end
    end
end

local show = {}

function show.proxy(at)
    at:add("proxy", at.left)
    return "PROXY header"
end

function show.call(at)
    at:add("magic", 8)
    header(at, "frame")
    at:number("hello.version_min", 1)
    at:number("hello.version_max", 1)
    flags(at)
    at:number("hello.max_record", 4)
    at:add("hello.nonce", 32)
    at:add("hello.instance", 16)
    local key_id = at:add("hello.key_id", at:number("hello.key_id.length", 1))
    at:add("hello.audience", at:number("hello.audience.length", 1))
    extensions(at)
    at:done()
    return key_id and "Call with key " .. key_id:string() or "Call"
end

function show.nonce(at)
    at:add("nonce", 32)
    return "Nonce"
end

function show.answer(at, found)
    header(at, "frame")
    local hello = at:part(math.max(at.left - 32, 0))
    hello:number("hello.version", 1)
    hello:number("hello.status", 1)
    flags(hello)
    hello:number("hello.max_record", 4)
    hello:add("hello.instance", 16)
    extensions(hello)
    hello:done()
    at:add("proof", 32)
    if found.transcript then
        at.tree:add(fields["transcript"], hex(found.transcript)):set_generated()
    end
    status(at.tree, "proof", found, "proof")
    return "Answer"
end

function show.confirm(at, found)
    header(at, "frame")
    at:add("proof", 32)
    at:done()
    status(at.tree, "proof", found, "proof")
    return "Confirm"
end

function show.refusal(at)
    header(at, "frame")
    local code = at:number("refusal", 1)
    at:done()
    at.tree:add_proto_expert_info(warnings["refused"])
    return "Refusal: " .. (REFUSALS[code] or "unknown code")
end

local function message(at, length, tree)
    tree = tree or at.tree
    tree:add(fields["message.length"], UInt64(length)):set_generated()
    local part, item = at:add("message", length, tree)
    if part then
        item:add(fields["message.text"], part)
    end
end

local function batch(at)
    local count = 0
    while at.left > 0 do
        local length, item = at:add("batch.length", 3)
        if length then
            message(at, length:uint(), item)
        end
        count = count + 1
    end
    if count == 0 then
        at:malformed()
    end
    return string.format("Batch of %d", count)
end

-- The payload of a record: in what was captured, or in what was opened.
local function payload(at, kind)
    if kind == 0x04 then
        at:number("record.status", 1)
        at:done()
    elseif kind == 0x10 then
        message(at, at.left)
    elseif kind == 0x14 then
        return batch(at)
    elseif kind == 0x13 then
        at:done()
    else
        at:add("record.payload", at.left)
    end
    return RECORD_TYPES[kind] or "Record of an unknown type"
end

function show.record(at, found)
    at.tree:add(fields["record.number"], found.number):set_generated()
    local kind = at:number("record.type", 1)
    at:number("record.length", 3)
    local body, said = at:part(math.max(at.left - 16, 0)), nil
    if not found.is_sealed then
        said = payload(body, kind)
    else
        body:add("record.sealed", body.left)
        said = RECORD_TYPES[kind] or "Record"
    end
    at:add("record.tag", 16)
    at:done()
    status(at.tree, "record.tag", found, "tag")
    if found.is_sealed and found.opened then
        if found.opened ~= "" then
            local opened = ByteArray.new(found.opened, true):tvb("Opened record")
            said = payload(cursor(opened:range(), at.tree), kind)
        elseif kind == 0x10 then
            message(at, 0)
        end
    elseif found.is_sealed and found.status == Session.UNCHECKED then
        at.tree:add_proto_expert_info(warnings["unsealed"])
    end
    return found.status == Session.BAD and said .. " with a wrong tag" or said
end

show.accept = show.record

local function proved(at, found)
    at:add("proof", at.left)
    status(at.tree, "proof", found, "proof")
    if found.key_id then
        at.tree:add(fields["proof.key_id"], found.key_id):set_generated()
    end
end

function show.proof(at, found)
    proved(at, found)
    return "Proof"
end

local function framed(at, found)
    at:add("frame.header", found.head)
end

function show.challenge(at, found)
    framed(at, found)
    at:add("verb", #"#CHALLENGE#")
    at:add("challenge", at.left)
    return "Challenge"
end

function show.response(at, found)
    framed(at, found)
    proved(at, found)
    return "Response"
end

function show.verdict(at, found)
    framed(at, found)
    local verdict = at:add("verb", at.left)
    return verdict and verdict:string() or "Verdict"
end

function show.message(at, found)
    framed(at, found)
    message(at, at.left)
    return "Message"
end

function show.unknown(at)
    at:add("unknown", at.left)
    return "Unknown bytes"
end

function show.broken(at)
    at:add("unknown", at.left)
    at:malformed()
    return "Malformed"
end

-- Connections -----------------------------------------------------------------------------------

local connections, ring, faults = {}, {}, {}
local stream_of = Field.new("tcp.stream")

function countersign.init()
    connections = {}
    ring, faults = {}, {}
    if prefs.keys ~= "" then
        ring, faults = Keys.read(prefs.keys)
    end
end

local function connection_of(pinfo)
    local number = stream_of().value
    local connection = connections[number]
    if not connection then
        local settings = {
            dialect = DIALECTS[prefs.dialect],
            framing = FRAMINGS[prefs.framing],
            digest = DIGESTS[prefs.digest],
        }
        connection = { session = Session.new(settings, ring), seen = {} }
        local is_client = pinfo.dst_port == pinfo.match_uint
        connection.client_port = is_client and pinfo.src_port or pinfo.dst_port
        connections[number] = connection
    end
    return connection
end

-- A packet is dissected many times, and a session sees each message once. So what it has found is
-- kept under what the packet looks like from there on: its number alone isn't enough, as TCP hands
-- over what it has put together and what follows it one after the other.
local function next_message(connection, pinfo, text, at)
    local key = string.format("%d:%d:%d:", pinfo.number, #text, at) .. text:sub(-32)
    local found = connection.seen[key]
    if not found then
        local needed
        local is_client = pinfo.src_port == connection.client_port
        found, needed = connection.session:next(text:sub(at + 1), is_client)
        if not found then
            return nil, needed
        end
        found.transcript = found.kind == "answer" and connection.session.th or nil
        connection.seen[key] = found
    end
    return found
end

-- The longest message that is waited for. What announces more is damaged, or something else.
local LONGEST = 2 ^ 24 + 64

local function dissect(tvb, pinfo, tree)
    local connection, text, at, said = connection_of(pinfo), tvb:raw(), 0, {}
    pinfo.cols.protocol = "Countersign"
    while at < #text do
        local found, needed = next_message(connection, pinfo, text, at)
        if not found and (needed == Session.MORE or needed <= LONGEST) then
            pinfo.desegment_offset = at
            local more = needed == Session.MORE and DESEGMENT_ONE_MORE_SEGMENT
            pinfo.desegment_len = more or needed - (#text - at)
            break
        end
        found = found or { kind = "broken", length = #text - at }
        local range = tvb:range(at, found.length)
        local item = tree:add(countersign, range)
        local summary = show[found.kind](cursor(range, item), found)
        item:append_text(", " .. summary)
        said[#said + 1] = summary
        at = at + found.length
        for _, fault in ipairs(faults) do
            item:add_proto_expert_info(warnings["keys"], fault)
        end
    end
    if #said > 0 then
        pinfo.cols.info = table.concat(said, ", ")
    end
    return tvb:len()
end

function countersign.dissector(tvb, pinfo, tree)
    return dissect(tvb, pinfo, tree)
end

-- A client says at once that it speaks countersign/1, at any port.
countersign:register_heuristic("tcp", function(tvb, pinfo, tree)
    if tvb:len() < #Session.MAGIC or tvb:raw(0, #Session.MAGIC) ~= Session.MAGIC then
        return false
    end
    pinfo.conversation = countersign
    connection_of(pinfo).client_port = pinfo.src_port
    dissect(tvb, pinfo, tree)
    return true
end)

local tcp, ports = DissectorTable.get("tcp.port"), prefs.ports

function countersign.prefs_changed()
    if ports ~= prefs.ports then
        tcp:remove(ports, countersign)
        ports = prefs.ports
        tcp:add(ports, countersign)
    end
end

tcp:add(ports, countersign)
