#include "core/page_deflate.hpp"

#include <dlfcn.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <utility>

#include "core/hash.hpp"

namespace readers {
namespace {

constexpr size_t kLiterals = 286;
constexpr size_t kEndOfBlock = 256;
constexpr size_t kDistances = 30;
constexpr size_t kFarthest = 32768;
// Numbers get longer: a source that is this near stays in reach for long.
constexpr size_t kFarthestLearnt = kFarthest - 4096;
constexpr size_t kShortestCopy = 4;
constexpr size_t kLongestCopy = 258;
constexpr uint32_t kLongestCode = 15;
constexpr uint32_t kLongestLengthCode = 7;
// How many earlier places are compared when a copy is looked for.
constexpr int kTries = 24;
// Bits of literals that one token gathers.
constexpr uint32_t kTokenBits = 48;

constexpr std::array<uint16_t, 29> kLengthBase{3,  4,  5,  6,  7,  8,  9,  10, 11,  13,  15,  17,  19,  23, 27,
                                               31, 35, 43, 51, 59, 67, 83, 99, 115, 131, 163, 195, 227, 258};
constexpr std::array<uint8_t, 29> kLengthExtra{0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0};
constexpr std::array<uint16_t, kDistances> kDistanceBase{1,   2,   3,   4,   5,   7,    9,    13,   17,   25,   33,   49,   65,    97,    129,
                                                         193, 257, 385, 513, 769, 1025, 1537, 2049, 3073, 4097, 6145, 8193, 12289, 16385, 24577};
// Order in which the lengths of the length codes are told.
constexpr std::array<uint8_t, 19> kLengthOrder{16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15};

constexpr std::array<uint8_t, 10> kGzipHeader{0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3};

size_t length_code(size_t length) noexcept {
  size_t code = 0;
  while (code + 1 < kLengthBase.size() && kLengthBase[code + 1] <= length) ++code;
  return code;
}

size_t distance_code(size_t distance) noexcept {
  if (distance <= 4) return distance - 1;
  const auto top = static_cast<size_t>(std::bit_width(distance - 1) - 1);
  return top * 2 + (((distance - 1) >> (top - 1)) & 1U);
}

uint32_t distance_extra(size_t code) noexcept { return code < 4 ? 0 : static_cast<uint32_t>(code / 2 - 1); }

uint32_t reversed(uint32_t bits, uint32_t count) noexcept {
  uint32_t result = 0;
  for (uint32_t i = 0; i < count; ++i) result |= ((bits >> i) & 1U) << (count - 1 - i);
  return result;
}

// Lengths of the codes of symbols with these frequencies, none longer than `longest`; 0 for frequency 0.
std::vector<uint8_t> code_lengths(std::span<const uint32_t> frequencies, uint32_t longest) {
  std::vector<uint8_t> lengths(frequencies.size(), 0);
  std::vector<uint32_t> used;
  for (uint32_t symbol = 0; symbol < frequencies.size(); ++symbol) {
    if (frequencies[symbol] != 0) used.push_back(symbol);
  }
  if (used.empty()) return lengths;
  std::sort(used.begin(), used.end(), [&](uint32_t a, uint32_t b) {
    return frequencies[a] != frequencies[b] ? frequencies[a] < frequencies[b] : a < b;
  });
  if (used.size() == 1) {
    lengths[used[0]] = 1;
    return lengths;
  }
  // Two queues: leaves by frequency, and inner nodes, which come into being in that order.
  const size_t leaves = used.size();
  std::vector<uint64_t> weight(leaves * 2);
  std::vector<uint32_t> parent(leaves * 2, 0);
  for (size_t i = 0; i < leaves; ++i) weight[i] = frequencies[used[i]];
  size_t next_leaf = 0;
  size_t next_inner = leaves;
  const size_t root = leaves * 2 - 2;
  for (size_t made = leaves; made <= root; ++made) {
    uint64_t sum = 0;
    for (int child = 0; child < 2; ++child) {
      const bool is_leaf = next_leaf < leaves && (next_inner >= made || weight[next_leaf] <= weight[next_inner]);
      const size_t taken = is_leaf ? next_leaf++ : next_inner++;
      sum += weight[taken];
      parent[taken] = static_cast<uint32_t>(made);
    }
    weight[made] = sum;
  }
  std::vector<uint32_t> depth(root + 1, 0);
  std::vector<uint32_t> count(longest + 1, 0);
  for (size_t node = root; node-- > 0;) {
    depth[node] = depth[parent[node]] + 1;
    if (node < leaves) ++count[std::min(depth[node], longest)];
  }
  // Codes that were cut to the longest take more room than there is: longer ones make room for them.
  uint64_t room = 0;
  for (uint32_t length = 1; length <= longest; ++length) room += uint64_t{count[length]} << (longest - length);
  while (room > uint64_t{1} << longest) {
    uint32_t shorter = longest - 1;
    while (count[shorter] == 0) --shorter;
    --count[shorter];
    count[shorter + 1] += 2;
    --count[longest];
    --room;
  }
  // The rarest get the longest.
  size_t at = 0;
  for (uint32_t length = longest; length >= 1; --length) {
    for (uint32_t i = 0; i < count[length]; ++i) lengths[used[at++]] = static_cast<uint8_t>(length);
  }
  return lengths;
}

// Canonical codes (RFC 1951, 3.2.2), bits in the order in which they are written.
template <typename Codes>
void assign_codes(std::span<const uint8_t> lengths, Codes& codes) {
  std::array<uint32_t, kLongestCode + 2> next{};
  for (const uint8_t length : lengths) {
    if (length != 0) ++next[length + 1U];
  }
  uint32_t code = 0;
  for (uint32_t length = 1; length <= kLongestCode; ++length) {
    const uint32_t before = next[length];
    code = (code + (length > 1 ? before : 0)) << 1U;
    next[length] = code;
  }
  for (size_t symbol = 0; symbol < lengths.size(); ++symbol) {
    const uint8_t length = lengths[symbol];
    codes[symbol].length = length;
    codes[symbol].bits = length == 0 ? uint16_t{0} : static_cast<uint16_t>(reversed(next[length]++, length));
  }
}

uint64_t hash_of(std::span<const uint8_t> page, size_t at, size_t length) noexcept {
  ShapeHash hash;
  hash.text(reinterpret_cast<const char*>(page.data()) + at, length, page.size() - at);
  return hash.value();
}

}  // namespace

class PageDeflater::BitWriter {
 public:
  explicit BitWriter(std::span<uint8_t> out) noexcept : begin_(out.data()), at_(out.data()), end_(out.data() + out.size()) {}

  // At most 56 bits.
  void put(uint64_t bits, uint32_t count) noexcept {
    held_ |= bits << held_count_;
    held_count_ += count;
    if (end_ - at_ < static_cast<ptrdiff_t>(sizeof held_)) {
      is_full_ = true;
      held_count_ = 0;
      held_ = 0;
      return;
    }
    // Little endian: the readers are not built for other machines' words either (core/word.hpp).
    for (size_t i = 0; i < sizeof held_; ++i) at_[i] = static_cast<uint8_t>(held_ >> (8 * i));
    const uint32_t whole = held_count_ / 8;
    at_ += whole;
    held_ = whole == sizeof held_ ? 0 : held_ >> (8 * whole);
    held_count_ -= 8 * whole;
  }

  void align() noexcept {
    if (held_count_ > 0) put(0, 8 - held_count_);
  }

  // On a byte boundary.
  void bytes(std::span<const uint8_t> more) noexcept {
    if (static_cast<size_t>(end_ - at_) < more.size() + sizeof held_) {
      is_full_ = true;
      return;
    }
    std::memcpy(at_, more.data(), more.size());
    at_ += more.size();
  }

  [[nodiscard]] size_t size() const noexcept { return static_cast<size_t>(at_ - begin_); }
  [[nodiscard]] bool is_full() const noexcept { return is_full_; }

 private:
  uint8_t* begin_;
  uint8_t* at_;
  uint8_t* end_;
  uint64_t held_ = 0;
  // Below 8 between calls.
  uint32_t held_count_ = 0;
  bool is_full_ = false;
};

// Finds earlier text. Works on pieces: neither a copy nor its source reaches over the end of one.
class PageDeflater::Finder {
 public:
  struct Copy {
    size_t length = 0;
    size_t piece = 0;
    size_t offset = 0;
    size_t distance = 0;
  };

  Finder(std::span<const uint8_t> page, std::span<const Piece> pieces)
      : page_(page), pieces_(pieces), heads_(kHeads, kNone), before_(page.size(), kNone), piece_of_(page.size(), 0) {
    for (size_t i = 0; i < pieces.size(); ++i) {
      std::fill_n(piece_of_.begin() + pieces[i].at, pieces[i].length, static_cast<uint32_t>(i));
    }
  }

  [[nodiscard]] Copy find(size_t at, size_t piece_end) const noexcept {
    Copy best;
    const size_t most = std::min(kLongestCopy, piece_end - at);
    if (most < kShortestCopy) return best;
    size_t candidate = heads_[key(at)];
    for (int tries = 0; candidate != kNone && tries < kTries; ++tries, candidate = before_[candidate]) {
      const size_t distance = at - candidate;
      if (distance > kFarthestLearnt) break;
      const Piece& source = pieces_[piece_of_[candidate]];
      // A source in the same piece may run on into the copy itself.
      const size_t source_end = source.at + source.length;
      const size_t limit = std::min(most, source_end - candidate);
      size_t length = 0;
      while (length < limit && page_[candidate + length] == page_[at + length]) ++length;
      if (length <= best.length) continue;
      best = {length, piece_of_[candidate], candidate - source.at, distance};
      if (length == most) break;
    }
    if (best.length < kShortestCopy) best.length = 0;
    return best;
  }

  void enter(size_t at, size_t piece_end) noexcept {
    if (piece_end - at < kShortestCopy) return;
    auto& head = heads_[key(at)];
    before_[at] = head;
    head = static_cast<uint32_t>(at);
  }

 private:
  static constexpr size_t kHeads = size_t{1} << 13U;
  static constexpr uint32_t kNone = 0xffffffffU;

  [[nodiscard]] size_t key(size_t at) const noexcept {
    uint32_t bytes = 0;
    std::memcpy(&bytes, page_.data() + at, sizeof bytes);
    return (bytes * 0x9e3779b1U) >> 19U;
  }

  std::span<const uint8_t> page_;
  std::span<const Piece> pieces_;
  std::vector<uint32_t> heads_;
  std::vector<uint32_t> before_;
  std::vector<uint32_t> piece_of_;
};

void PageDeflater::cut(std::span<const uint8_t> page, PageHole hole, std::vector<Piece>& pieces) {
  pieces.clear();
  const uint8_t* const data = page.data();
  const size_t size = page.size();
  size_t piece_at = 0;
  size_t line = 0;
  while (line < size) {
    const auto* const feed = static_cast<const uint8_t*>(std::memchr(data + line, '\n', size - line));
    const size_t line_end = feed == nullptr ? size : static_cast<size_t>(feed - data);
    if (data[line] != '#') {
      size_t number = line_end;
      while (number > line && data[number - 1] != ' ') --number;
      if (number > line) {
        pieces.push_back({hash_of(page, piece_at, number - piece_at), static_cast<uint32_t>(piece_at), static_cast<uint32_t>(number - piece_at),
                          static_cast<uint32_t>(line_end - number), 0, number == hole.at});
        piece_at = line_end;
      }
    }
    line = line_end + 1;
  }
  pieces.push_back({hash_of(page, piece_at, size - piece_at), static_cast<uint32_t>(piece_at), static_cast<uint32_t>(size - piece_at), 0, 0, false});
}

bool PageDeflater::is_known() noexcept {
  if (seen_.size() != pieces_.size()) return false;
  for (size_t i = 0; i < seen_.size(); ++i) {
    const Piece& now = seen_[i];
    Piece& before = pieces_[i];
    if (now.hash != before.hash || now.length != before.length || now.is_before_hole != before.is_before_hole) return false;
    before.at = now.at;
    before.number_length = now.number_length;
  }
  return true;
}

bool PageDeflater::is_second() noexcept {
  ShapeHash hash;
  for (const Piece& piece : seen_) {
    const std::array<uint64_t, 2> words{piece.hash, piece.is_before_hole ? 1U : 0U};
    hash.text(reinterpret_cast<const char*>(words.data()), sizeof words, sizeof words);
  }
  const uint64_t text = hash.value();
  return std::exchange(last_text_, text) == text;
}

void PageDeflater::learn(std::span<const uint8_t> page) {
  struct Found {
    size_t at;
    Finder::Copy copy;
  };
  pieces_ = seen_;
  Finder finder(page, pieces_);
  std::vector<Found> found;
  std::vector<size_t> found_ends;
  std::array<uint32_t, kLiterals> literal_counts{};
  std::array<uint32_t, kDistances> distance_counts{};
  // What numbers may need at any time.
  for (const char byte : {'0', '1', '2', '3', '4', '5', '6', '7', '8', '9', '.', 'e', '+', '-', 'N', 'a', 'I', 'n', 'f'}) {
    literal_counts[static_cast<uint8_t>(byte)] = 1;
  }
  literal_counts[kEndOfBlock] = 1;
  distance_counts.fill(1);
  for (const Piece& piece : pieces_) {
    const size_t end = piece.at + piece.length;
    for (size_t at = piece.at; at < end;) {
      Finder::Copy copy = finder.find(at, end);
      finder.enter(at, end);
      // A longer copy may begin at the next byte.
      if (copy.length != 0 && copy.length < 32 && at + 1 < end && finder.find(at + 1, end).length > copy.length) copy.length = 0;
      if (copy.length == 0) {
        found.push_back({at, copy});
        ++literal_counts[page[at]];
        ++at;
        continue;
      }
      found.push_back({at, copy});
      ++literal_counts[257 + length_code(copy.length)];
      ++distance_counts[distance_code(copy.distance)];
      for (size_t i = 1; i < copy.length; ++i) finder.enter(at + i, end);
      at += copy.length;
    }
    found_ends.push_back(found.size());
    if (!piece.is_before_hole) {
      for (size_t i = 0; i < piece.number_length; ++i) ++literal_counts[page[end + i]];
    }
  }
  const std::vector<uint8_t> literal_lengths = code_lengths(literal_counts, kLongestCode);
  const std::vector<uint8_t> distance_lengths = code_lengths(distance_counts, kLongestCode);
  literals_.fill({});
  assign_codes(literal_lengths, literals_);
  assign_codes(distance_lengths, distances_);

  // The header of a block: lengths of both alphabets, runs of zeros as 17 and 18.
  struct LengthSymbol {
    uint8_t symbol;
    uint8_t extra;
    uint8_t extra_bits;
  };
  std::vector<uint8_t> lengths(literal_lengths.begin(), literal_lengths.begin() + kLiterals);
  while (lengths.size() > 257 && lengths.back() == 0) lengths.pop_back();
  const size_t literal_total = lengths.size();
  lengths.insert(lengths.end(), distance_lengths.begin(), distance_lengths.end());
  std::vector<LengthSymbol> symbols;
  for (size_t i = 0; i < lengths.size();) {
    size_t run = 0;
    while (i + run < lengths.size() && lengths[i + run] == 0 && run < 138) ++run;
    if (run >= 11) symbols.push_back({18, static_cast<uint8_t>(run - 11), 7});
    else if (run >= 3) symbols.push_back({17, static_cast<uint8_t>(run - 3), 3});
    else {
      symbols.push_back({lengths[i], 0, 0});
      run = 1;
    }
    i += run;
  }
  std::array<uint32_t, 19> symbol_counts{};
  for (const LengthSymbol& each : symbols) ++symbol_counts[each.symbol];
  const std::vector<uint8_t> symbol_lengths = code_lengths(symbol_counts, kLongestLengthCode);
  std::array<Code, 19> symbol_codes{};
  assign_codes(symbol_lengths, symbol_codes);
  size_t told = kLengthOrder.size();
  while (told > 4 && symbol_lengths[kLengthOrder[told - 1]] == 0) --told;
  header_.assign(1024, 0);
  header_bits_ = 0;
  const auto add = [&](uint32_t bits, uint32_t count) {
    for (uint32_t i = 0; i < count; ++i, ++header_bits_) {
      if (((bits >> i) & 1U) != 0) header_[header_bits_ / 8] = static_cast<uint8_t>(header_[header_bits_ / 8] | 1U << (header_bits_ % 8));
    }
  };
  add(2, 2);
  add(static_cast<uint32_t>(literal_total - 257), 5);
  add(kDistances - 1, 5);
  add(static_cast<uint32_t>(told - 4), 4);
  for (size_t i = 0; i < told; ++i) add(symbol_lengths[kLengthOrder[i]], 3);
  for (const LengthSymbol& each : symbols) {
    add(symbol_codes[each.symbol].bits, symbol_codes[each.symbol].length);
    add(each.extra, each.extra_bits);
  }

  tokens_.clear();
  size_t next = 0;
  for (size_t i = 0; i < pieces_.size(); ++i) {
    bool is_open = false;
    for (; next < found_ends[i]; ++next) {
      const auto& [at, copy] = found[next];
      if (copy.length == 0) {
        const Code code = literals_[page[at]];
        if (!is_open || tokens_.back().bit_count + code.length > kTokenBits) tokens_.push_back({0, 0, kNoCopy, 0, 0});
        is_open = true;
        tokens_.back().bits |= uint64_t{code.bits} << tokens_.back().bit_count;
        tokens_.back().bit_count += code.length;
        continue;
      }
      is_open = false;
      const size_t symbol = length_code(copy.length);
      const Code code = literals_[257 + symbol];
      const uint64_t bits = code.bits | uint64_t{copy.length - kLengthBase[symbol]} << code.length;
      tokens_.push_back({bits, code.length + uint32_t{kLengthExtra[symbol]}, static_cast<uint32_t>(copy.piece),
                         static_cast<uint32_t>(copy.offset), static_cast<uint32_t>(at - pieces_[i].at)});
    }
    pieces_[i].tokens_end = static_cast<uint32_t>(tokens_.size());
  }
}

bool PageDeflater::write(std::span<const uint8_t> page, PageHole hole, BitWriter& out, size_t& hole_at) noexcept {
  const auto begin_block = [&](bool is_last) {
    out.put(is_last ? 1 : 0, 1);
    for (size_t bit = 0; bit < header_bits_; bit += 8) {
      out.put(header_[bit / 8], static_cast<uint32_t>(std::min<size_t>(8, header_bits_ - bit)));
    }
  };
  const Code end_of_block = literals_[kEndOfBlock];
  const bool has_hole = hole.at != PageHole::kNone;
  begin_block(!has_hole);
  size_t token = 0;
  for (const Piece& piece : pieces_) {
    for (; token < piece.tokens_end; ++token) {
      const Token& each = tokens_[token];
      out.put(each.bits, each.bit_count);
      if (each.source_piece == kNoCopy) continue;
      const size_t distance = size_t{piece.at} + each.own_offset - pieces_[each.source_piece].at - each.source_offset;
      if (distance > kFarthest) return false;
      const size_t symbol = distance_code(distance);
      const Code code = distances_[symbol];
      out.put(code.bits | uint64_t{distance - kDistanceBase[symbol]} << code.length, code.length + distance_extra(symbol));
    }
    const size_t number = size_t{piece.at} + piece.length;
    if (piece.is_before_hole) {
      out.put(end_of_block.bits, end_of_block.length);
      // A stored block that is not the last: three bits, the rest of the byte, length and its complement.
      out.put(0, 3);
      out.align();
      out.put(hole.length | (~uint64_t{hole.length} & 0xffffU) << 16U, 32);
      hole_at = out.size();
      out.bytes(page.subspan(hole.at, hole.length));
      begin_block(true);
      continue;
    }
    for (size_t i = 0; i < piece.number_length; ++i) {
      const Code code = literals_[page[number + i]];
      if (code.length == 0) return false;
      out.put(code.bits, code.length);
    }
  }
  out.put(end_of_block.bits, end_of_block.length);
  out.align();
  return true;
}

PageDeflater::Printed PageDeflater::print(std::span<const uint8_t> page, PageHole hole, std::span<uint8_t> output, GzipResult& result) noexcept {
  BitWriter out(output);
  out.bytes(kGzipHeader);
  size_t hole_at = PageHole::kNone;
  if (!write(page, hole, out, hole_at)) return Printed::out_of_reach;
  const uint32_t crc = crc32_of(page);
  out.put(crc | uint64_t{static_cast<uint32_t>(page.size() & 0xffU)} << 32U, 40);
  out.put((page.size() & 0xffffffffU) >> 8U, 24);
  if (out.is_full()) return Printed::full;
  result = {out.size(), hole_at, crc};
  return Printed::ok;
}

std::optional<GzipResult> PageDeflater::gzip(std::span<const uint8_t> page, PageHole hole, std::span<uint8_t> output) {
  cut(page, hole, seen_);
  const bool is_known_page = is_known();
  if (!is_known_page && !is_second()) return std::nullopt;
  if (!is_known_page) learn(page);
  GzipResult result{};
  Printed printed = print(page, hole, output, result);
  if (printed == Printed::out_of_reach && is_known_page) {
    learn(page);
    printed = print(page, hole, output, result);
  }
  return printed == Printed::ok ? std::optional(result) : std::nullopt;
}

std::optional<GzipResult> PageDeflater::gzip_known(std::span<const uint8_t> page, PageHole hole, std::span<uint8_t> output) noexcept {
  cut(page, hole, seen_);
  GzipResult result{};
  return is_known() && print(page, hole, output, result) == Printed::ok ? std::optional(result) : std::nullopt;
}

namespace {

// Slicing by eight: one table per byte of a word.
constexpr auto kCrcTables = [] {
  std::array<std::array<uint32_t, 256>, 8> tables{};
  for (uint32_t byte = 0; byte < 256; ++byte) {
    uint32_t value = byte;
    for (int bit = 0; bit < 8; ++bit) value = (value & 1U) != 0 ? (value >> 1U) ^ 0xedb88320U : value >> 1U;
    tables[0][byte] = value;
  }
  for (size_t table = 1; table < 8; ++table) {
    for (size_t byte = 0; byte < 256; ++byte) {
      const uint32_t before = tables[table - 1][byte];
      tables[table][byte] = (before >> 8U) ^ tables[0][before & 0xffU];
    }
  }
  return tables;
}();

uint32_t own_crc32(std::span<const uint8_t> bytes) noexcept {
  uint32_t value = 0xffffffffU;
  size_t at = 0;
  for (; bytes.size() - at >= 8; at += 8) {
    uint32_t low = value;
    for (uint32_t i = 0; i < 4; ++i) low ^= uint32_t{bytes[at + i]} << (8 * i);
    value = kCrcTables[7][low & 0xffU] ^ kCrcTables[6][(low >> 8U) & 0xffU] ^ kCrcTables[5][(low >> 16U) & 0xffU] ^ kCrcTables[4][low >> 24U] ^
            kCrcTables[3][bytes[at + 4]] ^ kCrcTables[2][bytes[at + 5]] ^ kCrcTables[1][bytes[at + 6]] ^ kCrcTables[0][bytes[at + 7]];
  }
  for (; at < bytes.size(); ++at) value = (value >> 8U) ^ kCrcTables[0][(value ^ bytes[at]) & 0xffU];
  return ~value;
}

}  // namespace

uint32_t crc32_of(std::span<const uint8_t> bytes) noexcept {
  // The zlib that node is linked with uses the processor's own instructions.
  using Crc32 = unsigned long (*)(unsigned long, const uint8_t*, size_t);
  static const auto found = reinterpret_cast<Crc32>(dlsym(RTLD_DEFAULT, "crc32_z"));
  return found == nullptr ? own_crc32(bytes) : static_cast<uint32_t>(found(0, bytes.data(), bytes.size()));
}

}  // namespace readers
