-- Key files of countersign, as far as a dissector needs them: one key a line, with an id, a secret
-- and options. See countersign-keys(5).

local keys = {}

local ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

local function from_hex(text)
    if #text % 2 == 0 and not text:find("%X") then
        return (text:gsub("..", function(digits)
            return string.char(tonumber(digits, 16))
        end))
    end
end

local function from_base64(text)
    local out, value, bits = {}, 0, 0
    for char in text:gsub("=+$", ""):gmatch(".") do
        local at = ALPHABET:find(char, 1, true)
        if not at then
            return nil
        end
        value, bits = value * 64 + at - 1, bits + 6
        if bits >= 8 then
            bits = bits - 8
            out[#out + 1] = string.char(math.floor(value / 2 ^ bits))
            value = value % 2 ^ bits
        end
    end
    return table.concat(out)
end

local function from_text(text)
    return text
end

-- A passphrase takes 600,000 rounds of PBKDF2, which is more than a minute in Lua: derive.py does it.
local DECODE = { hex = from_hex, base64 = from_base64, text = from_text }

-- The keys of a file, each with its id and secret, and what is wrong with its lines. What a key is
-- valid for doesn't matter: the server that is recorded has decided that.
function keys.read(path)
    local file, why = io.open(path, "rb")
    if not file then
        return {}, { why }
    end
    local found, faults, number = {}, {}, 0
    for line in file:lines() do
        number = number + 1
        line = line:gsub("^\239\187\191", "")
        local id, encoding, text = line:match("^%s*(%S+)%s+(%l+%d*):(%S+)")
        local decode = DECODE[encoding]
        local secret = decode and decode(text)
        if secret then
            found[#found + 1] = { id = id, secret = secret }
        elseif not line:match("^%s*#") and line:match("%S") then
            faults[#faults + 1] = string.format(
                "%s: line %d is no key with hex:, base64: or text: (passphrase: see derive.py)",
                path, number)
        end
    end
    file:close()
    return found, faults
end

return keys
