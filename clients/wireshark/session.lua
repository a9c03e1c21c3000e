-- What a dissector has to remember of a connection: what was said, and which keys follow from it.
--
-- `Session:next` cuts one message off what an end has sent, and says what it is and whether its
-- proof or tag is right. It must see the messages of both ends in the order of the capture, each
-- once.

local folder = ...
local crypto = dofile(folder .. "crypto.lua")

local MAGIC = "\158csgn/1\10"
local CHALLENGE, WELCOME, FAILURE = "#CHALLENGE#", "#WELCOME#", "#FAILURE#"

local Session = {}
Session.__index = Session

Session.MAGIC = MAGIC
-- What is known of a proof or a tag.
Session.BAD, Session.GOOD, Session.UNCHECKED = 0, 1, 2
-- What `next` returns if there is less than a message: the next byte decides how many follow.
Session.MORE = "more"

local BAD, GOOD, UNCHECKED, MORE = Session.BAD, Session.GOOD, Session.UNCHECKED, Session.MORE

-- A connection whose dialect and framing are as the reader has set them, or found out ("auto").
function Session.new(settings, keys)
    return setmetatable({
        dialect = settings.dialect,
        framing = settings.framing,
        digest = settings.digest,
        keys = keys,
        client = { phase = settings.dialect == "open" and "open" or "hello", number = 0 },
        server = { phase = settings.dialect == "open" and "open" or "hello", number = 0 },
    }, Session)
end

local function unsigned(text, at, count)
    local value = 0
    for i = at, at + count - 1 do
        value = value * 256 + text:byte(i)
    end
    return value
end

local function number_of(value)
    local bytes = {}
    for i = 8, 1, -1 do
        bytes[i] = string.char(value % 256)
        value = math.floor(value / 256)
    end
    return table.concat(bytes)
end

local function verdict(is_right)
    return is_right and GOOD or BAD
end

-- countersign/1 ---------------------------------------------------------------------------------

-- The bytes of a frame, with what precedes it, or how many there have to be.
local function frame(text, before)
    if #text < before + 4 then
        return nil, before + 4
    end
    local length = before + 4 + unsigned(text, before + 2, 3)
    if #text < length then
        return nil, length
    end
    return text:sub(1, length)
end

-- The extensions of a hello, by their ids; nil if they are malformed.
local function extensions(text)
    local found, at = {}, 1
    while at <= #text do
        if at + 3 > #text then
            return nil
        end
        local id, length = unsigned(text, at, 2), unsigned(text, at + 2, 2)
        if at + 3 + length > #text or found[id] then
            return nil
        end
        found[id] = text:sub(at + 4, at + 3 + length)
        at = at + 4 + length
    end
    return found
end

-- Finds the key with which the server has proved itself, and derives those of the connection.
function Session:derive(answer)
    local hello, proof = answer:sub(1, -33), answer:sub(-32)
    local th = crypto.sha256("countersign/1 th" .. self.nonce .. self.call .. hello)
    self.th, self.proof = th, proof
    local is_known = false
    for _, key in ipairs(self.keys) do
        if key.id == self.key_id then
            is_known = true
            key.prk = key.prk or crypto.extract("countersign/1 psk", key.secret)
            local keys = crypto.expand(key.prk, "countersign/1 keys" .. th, 5)
            if crypto.hmac(keys[1], "countersign/1 server" .. th) == proof then
                self.client_proof = crypto.hmac(keys[2], "countersign/1 client" .. th .. proof)
                self.server.key, self.client.key = keys[3], keys[4]
                return GOOD
            end
        end
    end
    return is_known and BAD or UNCHECKED
end

function Session:read_call(text)
    local call, needed = frame(text, #MAGIC)
    if not call then
        return nil, needed
    end
    self.call = call
    local kid_at = #MAGIC + 4 + 56 + 1
    if #call >= kid_at then
        self.key_id = call:sub(kid_at + 1, kid_at + call:byte(kid_at))
    end
    self.client.phase = "confirm"
    return { kind = "call", length = #call }
end

function Session:read_nonce(text)
    if #text < 32 then
        return nil, 32
    end
    self.nonce = text:sub(1, 32)
    self.server.phase = self.dialect == "countersign/1" and "answer" or "nonce"
    return { kind = "nonce", length = 32 }
end

local function refusal(side, text)
    side.phase = "over"
    return { kind = "refusal", length = #text }
end

function Session:read_answer(text)
    local answer, needed = frame(text, 0)
    if not answer then
        return nil, needed
    elseif answer:byte() == 5 then
        return refusal(self.server, answer)
    end
    local found = { kind = "answer", length = #answer, status = UNCHECKED }
    -- frame, version, status, flags, max_record, instance, ext_len, mac_s
    if answer:byte() == 2 and #answer >= 4 + 26 + 32 and self.call then
        found.status = self:derive(answer)
        self.has_records = answer:byte(8) % 2 == 1
        local chosen = extensions(answer:sub(31, -33))
        self.is_sealed = chosen and chosen[1] == "\1"
    end
    self.server.phase = "accept"
    return found
end

function Session:read_confirm(text)
    local confirm, needed = frame(text, 0)
    if not confirm then
        return nil, needed
    end
    local status = UNCHECKED
    if self.client_proof then
        status = verdict(confirm:sub(5) == self.client_proof)
    end
    self.client.phase = "open"
    return { kind = "confirm", length = #confirm, status = status }
end

function Session:read_accept(text)
    local accept, needed = frame(text, 0)
    if not accept then
        return nil, needed
    elseif accept:byte() == 5 then
        return refusal(self.server, accept)
    end
    self.server.phase = "open"
    return self:checked(self.server, accept, "accept")
end

-- A record with its number, and with what its tag says. Only the accept is never sealed.
function Session:checked(side, record, kind)
    local found = { kind = kind, length = #record, number = side.number, status = UNCHECKED }
    side.number = side.number + 1
    if #record < 4 + 16 then
        found.status = BAD
        return found
    end
    local header, payload, tag = record:sub(1, 4), record:sub(5, -17), record:sub(-16)
    local number = number_of(found.number)
    found.is_sealed = self.is_sealed and kind == "record"
    if not side.key then
        return found
    elseif found.is_sealed then
        side.seal = side.seal or crypto.hmac(side.key, "countersign/1 chacha20-poly1305")
        found.opened = crypto.open(side.seal, "\0\0\0\0" .. number, header, payload, tag)
        found.status = verdict(found.opened)
    else
        local right = crypto.hmac(side.key, number .. header .. payload):sub(1, 16)
        found.status = verdict(tag == right)
    end
    return found
end

function Session:read_record(text, side)
    local record, needed = frame(text, 0)
    if not record then
        return nil, needed
    end
    return self:checked(side, record, "record")
end

-- raw and hex -----------------------------------------------------------------------------------

local function from_hex(digits)
    return (digits:gsub("%x%x", function(two)
        return string.char(tonumber(two, 16))
    end))
end

-- The hashes of proofs, by their lengths.
local HASHES = { [16] = crypto.md5, [32] = crypto.sha256 }

-- What is known of an HMAC with any of the keys.
function Session:proved(mac, message)
    local hash = HASHES[#mac]
    if not message or #self.keys == 0 or not hash then
        return UNCHECKED
    end
    for _, key in ipairs(self.keys) do
        if crypto.hmac(key.secret, message, hash) == mac then
            return GOOD, key.id
        end
    end
    return BAD
end

function Session:read_raw_proof(text)
    local length = self.digest == "md5" and 16 or 32
    if self.dialect == "auto" then
        local digits = 2 * length
        local is_hex = #text >= digits and not text:sub(1, digits):find("[^0-9a-f]")
        self.dialect = is_hex and "hex" or "raw"
    end
    if self.dialect == "hex" then
        length = 2 * length
    end
    if #text < length then
        return nil, length
    end
    local proof = text:sub(1, length)
    local mac = self.dialect == "hex" and from_hex(proof) or proof
    local status, id = self:proved(mac, self.nonce)
    self.client.phase, self.server.phase = "open", "open"
    return { kind = "proof", length = length, status = status, key_id = id }
end

-- multiprocessing and the other framings --------------------------------------------------------

-- A frame of Python's: where its bytes begin, and how long it is with its header.
local function length_frame(text)
    if #text < 4 then
        return nil, 4
    end
    local head, length = 4, unsigned(text, 1, 4)
    if length == 0xffffffff then
        if #text < 12 then
            return nil, 12
        end
        head, length = 12, unsigned(text, 5, 8)
    elseif length >= 0x80000000 then
        return { kind = "broken", length = #text }
    end
    if #text < head + length then
        return nil, head + length
    end
    return { kind = "message", head = head, length = head + length }
end

-- Each end sends three messages of the handshake. Any others are messages.
function Session:read_python(text, side)
    local found, needed = length_frame(text)
    if not found or found.kind == "broken" then
        return found, needed
    end
    local body = text:sub(found.head + 1, found.length)
    local other = side == self.client and self.server or self.client
    side.number = side.number + 1
    if side.number > 3 then
        return found
    elseif body:sub(1, #CHALLENGE) == CHALLENGE then
        found.kind, side.challenge = "challenge", body:sub(#CHALLENGE + 1)
    elseif body == WELCOME or body == FAILURE then
        found.kind = "verdict"
    elseif other.challenge then
        local mac = body:gsub("^{sha256}", ""):gsub("^{md5}", "")
        found.kind = "response"
        found.status, found.key_id = self:proved(mac, other.challenge)
        other.challenge = nil
    end
    return found
end

local function read_line(text)
    local stop = text:find("\n", 1, true)
    if not stop then
        return nil, MORE
    end
    return { kind = "message", head = 0, length = stop }
end

local function read_chunk(text)
    return { kind = "message", head = 0, length = #text }
end

local FRAMINGS = { lines = read_line, chunks = read_chunk, length = length_frame }

-- Which function reads what ---------------------------------------------------------------------

local PROXY_1, PROXY_2 = "PROXY ", "\r\n\r\n\0\r\nQUIT\n"

-- What a load balancer has put before a connection.
function Session:read_proxy_header(text)
    local length
    if text:sub(1, #PROXY_1) == PROXY_1 then
        local _, stop = text:find("\n", 1, true)
        length = stop or math.min(#text + 1, 108)
    else
        length = #text < 16 and 16 or 16 + unsigned(text, 15, 2)
    end
    if #text < length then
        return nil, length
    end
    self.has_proxy_header = true
    return { kind = "proxy", length = length }
end

-- What can't be understood, since the start of the connection is missing or it is another protocol.
function Session.read_unknown(_, text)
    return { kind = "unknown", length = #text }
end

local function begins(text, with)
    return text:sub(1, #with) == with
end

-- The dialect, by the first bytes of an end. Nil if more have to come.
function Session:recognize(text, is_client)
    if is_client and text:sub(1, #MAGIC) == MAGIC:sub(1, #text) then
        return #text >= #MAGIC and "countersign/1" or nil
    elseif text:sub(5, 4 + #CHALLENGE) == CHALLENGE then
        return "multiprocessing"
    elseif not is_client and #text < 4 + #CHALLENGE then
        return nil
    end
    return "auto"
end

function Session:reader(text, is_client)
    local side = is_client and self.client or self.server
    local is_first = is_client and side.phase == "hello" and not self.has_proxy_header
    if is_first and (begins(text, PROXY_1) or begins(text, PROXY_2)) then
        return self.read_proxy_header
    end
    local is_shared = side.phase == "hello" or side.phase == "nonce"
    if self.dialect == "auto" and is_shared then
        self.dialect = self:recognize(text, is_client)
        if not self.dialect then
            self.dialect = "auto"
            return nil
        end
    end
    if self.dialect == "multiprocessing" then
        return self.read_python
    elseif side.phase == "over" then
        return read_chunk
    elseif side.phase == "open" then
        local has_records = self.dialect == "countersign/1" and self.has_records ~= false
        local framing = FRAMINGS[self.framing]
        return has_records and self.read_record or function(_, rest)
            return framing(rest)
        end
    elseif not is_client and side.phase == "hello" then
        return self.read_nonce
    elseif self.dialect == "countersign/1" then
        local readers = { hello = self.read_call, nonce = self.read_answer,
            answer = self.read_answer, confirm = self.read_confirm, accept = self.read_accept }
        return readers[side.phase]
    end
    return self.nonce and is_client and self.read_raw_proof or self.read_unknown
end

-- The next message that an end has sent, or nil and how many bytes it takes, or nil and MORE.
function Session:next(text, is_client)
    local reader = self:reader(text, is_client)
    if not reader then
        return nil, MORE
    end
    return reader(self, text, is_client and self.client or self.server)
end

return Session
