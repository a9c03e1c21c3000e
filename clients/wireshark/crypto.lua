-- SHA-256, MD5, HMAC, HKDF and ChaCha20-Poly1305 for the dissector: Wireshark has none for Lua.
--
-- It reads what somebody else has sent, so its time may depend on secrets: don't protect anything
-- with it. Texts are strings of bytes. It runs with any Lua that has the library `bit`.

local band, bor, bxor, bnot = bit.band, bit.bor, bit.bxor, bit.bnot
local ror, rol, lshift, rshift, tobit = bit.ror, bit.rol, bit.lshift, bit.rshift, bit.tobit

local unpack = unpack or table.unpack

local crypto = {}

-- The bytes of a 32-bit word, the most significant one first.
local function bytes_of(word)
    local a, b, c, d = rshift(word, 24), rshift(word, 16), rshift(word, 8), word
    return a, band(b, 255), band(c, 255), band(d, 255)
end

local function big_endian(text, at)
    local a, b, c, d = text:byte(at, at + 3)
    return bor(lshift(a, 24), lshift(b, 16), lshift(c, 8), d)
end

local function little_endian(text, at)
    local a, b, c, d = text:byte(at, at + 3)
    return bor(lshift(d, 24), lshift(c, 16), lshift(b, 8), a)
end

-- SHA-256, FIPS 180-4 ---------------------------------------------------------------------------

-- The first 32 bits of the fractional part of a root, as the standard defines its constants.
local function fraction(root)
    return tobit(math.floor((root % 1) * 2 ^ 32))
end

local ROUND, START = {}, {}
do
    local candidate = 1
    while #ROUND < 64 do
        candidate = candidate + 1
        local is_prime = true
        for factor = 2, math.floor(math.sqrt(candidate)) do
            is_prime = is_prime and candidate % factor ~= 0
        end
        if is_prime then
            ROUND[#ROUND + 1] = fraction(candidate ^ (1 / 3))
            if #START < 8 then
                START[#START + 1] = fraction(math.sqrt(candidate))
            end
        end
    end
end

local function compress(state, text, at)
    local w = {}
    for i = 0, 15 do
        w[i] = big_endian(text, at + 4 * i)
    end
    for i = 16, 63 do
        local near, far = w[i - 2], w[i - 15]
        local s0 = bxor(ror(far, 7), ror(far, 18), rshift(far, 3))
        local s1 = bxor(ror(near, 17), ror(near, 19), rshift(near, 10))
        w[i] = tobit(w[i - 16] + s0 + w[i - 7] + s1)
    end
    local a, b, c, d, e, f, g, h = unpack(state)
    for i = 0, 63 do
        local s1 = bxor(ror(e, 6), ror(e, 11), ror(e, 25))
        local choice = bxor(band(e, f), band(bnot(e), g))
        local one = h + s1 + choice + ROUND[i + 1] + w[i]
        local s0 = bxor(ror(a, 2), ror(a, 13), ror(a, 22))
        local two = s0 + bxor(band(a, b), band(a, c), band(b, c))
        h, g, f, e, d, c, b, a = g, f, e, tobit(d + one), c, b, a, tobit(one + two)
    end
    for i, word in ipairs({ a, b, c, d, e, f, g, h }) do
        state[i] = tobit(state[i] + word)
    end
end

-- A text in whole blocks, with its length in bits at the end: eight bytes, which a hash may arrange
-- in its own way.
local function in_blocks(text, arrange)
    local zeros = string.rep("\0", (55 - #text) % 64)
    local high, low = math.floor(#text / 2 ^ 29), #text * 8 % 2 ^ 32
    local length = string.char(bytes_of(tobit(high))) .. string.char(bytes_of(tobit(low)))
    return text .. "\128" .. zeros .. (arrange and arrange(length) or length)
end

function crypto.sha256(text)
    local padded = in_blocks(text)
    local state = { unpack(START) }
    for at = 1, #padded, 64 do
        compress(state, padded, at)
    end
    local digest = {}
    for i, word in ipairs(state) do
        digest[i] = string.char(bytes_of(word))
    end
    return table.concat(digest)
end

-- MD5, RFC 1321 ---------------------------------------------------------------------------------

local SINES, TURNS = {}, { { 7, 12, 17, 22 }, { 5, 9, 14, 20 }, { 4, 11, 16, 23 }, { 6, 10, 15, 21 } }
for i = 1, 64 do
    SINES[i] = tobit(math.floor(math.abs(math.sin(i)) * 2 ^ 32))
end

-- What each of the four rounds mixes, and which word comes next in it.
local MIXES = {
    function(i, b, c, d) return bor(band(b, c), band(bnot(b), d)), i end,
    function(i, b, c, d) return bor(band(d, b), band(bnot(d), c)), (5 * i + 1) % 16 end,
    function(i, b, c, d) return bxor(b, c, d), (3 * i + 5) % 16 end,
    function(i, b, c, d) return bxor(c, bor(b, bnot(d))), 7 * i % 16 end,
}

function crypto.md5(text)
    local padded = in_blocks(text, string.reverse)
    local state = { 0x67452301, tobit(0xefcdab89), tobit(0x98badcfe), 0x10325476 }
    for at = 1, #padded, 64 do
        local a, b, c, d = unpack(state)
        for i = 0, 63 do
            local round = math.floor(i / 16) + 1
            local mixed, word = MIXES[round](i, b, c, d)
            local sum = tobit(a + mixed + SINES[i + 1] + little_endian(padded, at + 4 * word))
            a, d, c, b = d, c, b, tobit(b + rol(sum, TURNS[round][i % 4 + 1]))
        end
        for i, word in ipairs({ a, b, c, d }) do
            state[i] = tobit(state[i] + word)
        end
    end
    local digest = {}
    for i, word in ipairs(state) do
        digest[i] = string.char(bytes_of(word)):reverse()
    end
    return table.concat(digest)
end

-- HMAC and HKDF, RFC 2104 and RFC 5869 ----------------------------------------------------------

local function masked(key, mask)
    return (key:gsub(".", function(byte)
        return string.char(bxor(byte:byte(), mask))
    end))
end

-- Over SHA-256, or over another hash.
function crypto.hmac(key, text, hash)
    hash = hash or crypto.sha256
    if #key > 64 then
        key = hash(key)
    end
    key = key .. string.rep("\0", 64 - #key)
    local inner = hash(masked(key, 0x36) .. text)
    return hash(masked(key, 0x5c) .. inner)
end

-- HKDF-Extract.
crypto.extract = crypto.hmac

-- HKDF-Expand: a list of so many keys of 32 bytes.
function crypto.expand(prk, info, count)
    local keys = {}
    for i = 1, count do
        keys[i] = crypto.hmac(prk, (keys[i - 1] or "") .. info .. string.char(i))
    end
    return keys
end

-- ChaCha20-Poly1305, RFC 8439 -------------------------------------------------------------------

local function quarter(x, a, b, c, d)
    x[a] = tobit(x[a] + x[b])
    x[d] = rol(bxor(x[d], x[a]), 16)
    x[c] = tobit(x[c] + x[d])
    x[b] = rol(bxor(x[b], x[c]), 12)
    x[a] = tobit(x[a] + x[b])
    x[d] = rol(bxor(x[d], x[a]), 8)
    x[c] = tobit(x[c] + x[d])
    x[b] = rol(bxor(x[b], x[c]), 7)
end

local function block(key, nonce, counter)
    local start = {}
    for i = 0, 3 do
        start[1 + i] = little_endian("expand 32-byte k", 1 + 4 * i)
    end
    for i = 0, 7 do
        start[5 + i] = little_endian(key, 1 + 4 * i)
    end
    start[13] = tobit(counter)
    for i = 0, 2 do
        start[14 + i] = little_endian(nonce, 1 + 4 * i)
    end
    local x = { unpack(start) }
    for _ = 1, 10 do
        for i = 0, 3 do
            quarter(x, 1 + i, 5 + i, 9 + i, 13 + i)
        end
        for i = 0, 3 do
            quarter(x, 1 + i, 5 + (i + 1) % 4, 9 + (i + 2) % 4, 13 + (i + 3) % 4)
        end
    end
    local stream = {}
    for i = 1, 16 do
        local a, b, c, d = bytes_of(tobit(x[i] + start[i]))
        stream[i] = string.char(d, c, b, a)
    end
    return table.concat(stream)
end

local function chacha20(key, nonce, text)
    local out = {}
    for at = 1, #text, 64 do
        local stream = block(key, nonce, (at + 63) / 64)
        for i = at, math.min(at + 63, #text) do
            out[i] = string.char(bxor(text:byte(i), stream:byte(i - at + 1)))
        end
    end
    return table.concat(out)
end

-- Numbers of 130 bits are ten limbs of 13 bits, the least significant one first: their products fit
-- into the 53 bits of Lua's numbers.
local function limbs_of(text)
    local limbs, value, bits = {}, 0, 0
    for i = 1, #text do
        value, bits = value + text:byte(i) * 2 ^ bits, bits + 8
        if bits >= 13 then
            limbs[#limbs + 1] = value % 8192
            value, bits = math.floor(value / 8192), bits - 13
        end
    end
    limbs[#limbs + 1] = value
    for i = #limbs + 1, 10 do
        limbs[i] = 0
    end
    return limbs
end

-- Carries, with 2^130 = 5 at the end.
local function carried(limbs)
    local carry = 0
    for _ = 1, 2 do
        for i = 1, 10 do
            local sum = limbs[i] + carry
            limbs[i], carry = sum % 8192, math.floor(sum / 8192)
        end
        carry = carry * 5
    end
    limbs[1] = limbs[1] + carry
    return limbs
end

local function product(one, other)
    local out = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 }
    for i = 1, 10 do
        for j = 1, 10 do
            local at, factor = i + j - 1, 1
            if at > 10 then
                at, factor = at - 10, 5
            end
            out[at] = out[at] + factor * one[i] * other[j]
        end
    end
    return carried(out)
end

-- The number modulo 2^130 - 5, plus `s`, as the 16 bytes of a tag.
local function tag_of(limbs, s)
    carried(limbs)
    local is_above = limbs[1] >= 8187
    for i = 2, 10 do
        is_above = is_above and limbs[i] == 8191
    end
    if is_above then
        limbs = { limbs[1] - 8187, 0, 0, 0, 0, 0, 0, 0, 0, 0 }
    end
    local tag, value, bits, limb, carry = {}, 0, 0, 1, 0
    for i = 1, 16 do
        while bits < 8 do
            value, bits, limb = value + limbs[limb] * 2 ^ bits, bits + 13, limb + 1
        end
        local sum = value % 256 + s:byte(i) + carry
        value, bits = math.floor(value / 256), bits - 8
        tag[i], carry = string.char(sum % 256), math.floor(sum / 256)
    end
    return table.concat(tag)
end

local CLAMP = { [4] = 15, [8] = 15, [12] = 15, [16] = 15, [5] = 252, [9] = 252, [13] = 252 }

local function poly1305(key, text)
    local r = {}
    for i = 1, 16 do
        r[i] = string.char(band(key:byte(i), CLAMP[i] or 255))
    end
    r = limbs_of(table.concat(r))
    local sum = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 }
    for at = 1, #text, 16 do
        local part = limbs_of(text:sub(at, at + 15) .. "\1")
        for i = 1, 10 do
            sum[i] = sum[i] + part[i]
        end
        sum = product(sum, r)
    end
    return tag_of(sum, key:sub(17, 32))
end

local function padded(text)
    return text .. string.rep("\0", -#text % 16)
end

local function length_of(text)
    local a, b, c, d = bytes_of(tobit(#text))
    return string.char(d, c, b, a, 0, 0, 0, 0)
end

-- The text that was sealed, or nil if the tag is wrong.
function crypto.open(key, nonce, associated, sealed, tag)
    local lengths = length_of(associated) .. length_of(sealed)
    local covered = padded(associated) .. padded(sealed) .. lengths
    if poly1305(block(key, nonce, 0):sub(1, 32), covered) == tag then
        return chacha20(key, nonce, sealed)
    end
end

return crypto
