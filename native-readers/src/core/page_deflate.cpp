#include "core/page_deflate.hpp"

#include <dlfcn.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <numeric>
#include <utility>

#include "core/hash.hpp"

namespace readers {
namespace {

constexpr size_t kEndOfBlock = 256;
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
// How many lines may be missing in one place.
constexpr size_t kReach = 2048;
// Pieces that may be added to those that were learnt, and the share of them. More would make pages larger than they need be.
constexpr size_t kMostAdded = 16;
constexpr size_t kAddedShare = 16;
// A text that has not come twice is learnt when what was learnt before it has served so many pages: it has paid by then.
constexpr uint32_t kPaid = 16;

constexpr std::array<uint16_t, 29> kLengthBase{3,  4,  5,  6,  7,  8,  9,  10, 11,  13,  15,  17,  19,  23, 27,
                                               31, 35, 43, 51, 59, 67, 83, 99, 115, 131, 163, 195, 227, 258};
constexpr std::array<uint8_t, 29> kLengthExtra{0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0};
constexpr std::array<uint16_t, 30> kDistanceBase{1,   2,   3,   4,   5,   7,    9,    13,   17,   25,   33,   49,   65,    97,    129,
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
                          static_cast<uint32_t>(line_end - number), number == hole.at, 0, 0, 0});
        piece_at = line_end;
      }
    }
    line = line_end + 1;
  }
  pieces.push_back({hash_of(page, piece_at, size - piece_at), static_cast<uint32_t>(piece_at), static_cast<uint32_t>(size - piece_at), 0, false, 0, 0, 0});
}

bool PageDeflater::is_known(std::span<const uint8_t> page) {
  if (pieces_.empty()) return false;
  ++page_number_;
  present_.clear();
  size_t next = 0;
  for (const Piece& now : seen_) {
    auto position = position_of(now, next);
    if (!position) {
      const Piece* before = present_.empty() ? nullptr : &pieces_[present_.back()];
      if (!add(page, next, now, before, before == nullptr ? 0 : present_.back())) return false;
      position = next;
    }
    const uint32_t id = order_[*position];
    Piece& known = pieces_[id];
    known.at = now.at;
    known.number_length = now.number_length;
    known.page = page_number_;
    present_.push_back(id);
    next = *position + 1;
  }
  return true;
}

std::optional<size_t> PageDeflater::position_of(const Piece& piece, size_t from) const noexcept {
  const size_t end = std::min(order_.size(), from + kReach);
  for (size_t position = from; position < end; ++position) {
    if (pieces_[order_[position]].is_like(piece)) return position;
  }
  return std::nullopt;
}

bool PageDeflater::add(std::span<const uint8_t> page, size_t position, const Piece& piece, const Piece* before, uint32_t before_id) {
  if (pieces_.size() - learnt_ >= std::max(kMostAdded, learnt_ / kAddedShare)) return false;
  const auto begin = static_cast<uint32_t>(tokens_.size());
  const auto other = before == nullptr ? std::span<const uint8_t>() : page.subspan(before->at, before->length);
  if (!add_beside(page.subspan(piece.at, piece.length), other, before_id)) {
    tokens_.resize(begin);
    return false;
  }
  order_.insert(order_.begin() + static_cast<ptrdiff_t>(position), static_cast<uint32_t>(pieces_.size()));
  pieces_.push_back(piece);
  pieces_.back().tokens_begin = begin;
  pieces_.back().tokens_end = static_cast<uint32_t>(tokens_.size());
  return true;
}

bool PageDeflater::add_beside(std::span<const uint8_t> text, std::span<const uint8_t> other, uint32_t other_id) {
  // Lines of a family begin and end alike.
  const size_t most = std::min({text.size(), other.size(), kLongestCopy});
  const size_t same = static_cast<size_t>(std::mismatch(text.begin(), text.begin() + static_cast<ptrdiff_t>(most), other.begin()).first - text.begin());
  const size_t begin = same >= kShortestCopy ? same : 0;
  size_t end = 0;
  while (end < most - begin && text[text.size() - 1 - end] == other[other.size() - 1 - end]) ++end;
  if (end < kShortestCopy) end = 0;
  if (begin > 0) add_copy(begin, other_id, 0, 0);
  if (!add_literals(text.subspan(begin, text.size() - begin - end))) return false;
  if (end > 0) add_copy(end, other_id, other.size() - end, text.size() - end);
  return true;
}

void PageDeflater::add_copy(size_t length, uint32_t source_piece, size_t source_offset, size_t own_offset) {
  const size_t symbol = length_code(length);
  const Code code = literals_[257 + symbol];
  const uint64_t bits = code.bits | uint64_t{length - kLengthBase[symbol]} << code.length;
  tokens_.push_back({bits, code.length + uint32_t{kLengthExtra[symbol]}, source_piece, static_cast<uint32_t>(source_offset),
                     static_cast<uint32_t>(own_offset), static_cast<uint32_t>(length)});
}

bool PageDeflater::add_literals(std::span<const uint8_t> text) {
  bool is_open = false;
  for (const uint8_t byte : text) {
    const Code code = literals_[byte];
    if (code.length == 0) return false;
    if (!is_open || tokens_.back().bit_count + code.length > kTokenBits) tokens_.push_back({0, 0, kNoCopy, 0, 0, 0});
    is_open = true;
    tokens_.back().bits |= uint64_t{code.bits} << tokens_.back().bit_count;
    tokens_.back().bit_count += code.length;
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
  pieces_ = seen_;
  order_.resize(pieces_.size());
  std::iota(order_.begin(), order_.end(), 0U);
  present_ = order_;
  learnt_ = pieces_.size();
  served_ = 0;
  ++page_number_;
  for (Piece& piece : pieces_) piece.page = page_number_;
  std::vector<size_t> ends;
  const std::vector<Found> found = search(page, ends);
  const Counts counts = count(page, found);
  const std::vector<uint8_t> literal_lengths = code_lengths(counts.literals, kLongestCode);
  const std::vector<uint8_t> distance_lengths = code_lengths(counts.distances, kLongestCode);
  literals_.fill({});
  assign_codes(literal_lengths, literals_);
  assign_codes(distance_lengths, distances_);
  write_header(literal_lengths, distance_lengths);
  keep(page, found, ends);
}

std::vector<PageDeflater::Found> PageDeflater::search(std::span<const uint8_t> page, std::vector<size_t>& ends) const {
  Finder finder(page, pieces_);
  std::vector<Found> found;
  for (const Piece& piece : pieces_) {
    const size_t end = piece.at + piece.length;
    for (size_t at = piece.at; at < end;) {
      Copy copy = finder.find(at, end);
      finder.enter(at, end);
      // A longer copy may begin at the next byte.
      if (copy.length != 0 && copy.length < 32 && at + 1 < end && finder.find(at + 1, end).length > copy.length) copy.length = 0;
      found.push_back({at, copy});
      for (size_t i = 1; i < copy.length; ++i) finder.enter(at + i, end);
      at += std::max<size_t>(copy.length, 1);
    }
    ends.push_back(found.size());
  }
  return found;
}

PageDeflater::Counts PageDeflater::count(std::span<const uint8_t> page, std::span<const Found> found) const {
  Counts counts;
  // What numbers and lines to come may need at any time.
  std::fill(counts.literals.begin() + ' ', counts.literals.begin() + '~' + 1, 1);
  counts.literals['\n'] = 1;
  counts.literals[kEndOfBlock] = 1;
  std::fill(counts.literals.begin() + 257, counts.literals.end(), 1);
  counts.distances.fill(1);
  for (const auto& [at, copy] : found) {
    if (copy.length == 0) {
      ++counts.literals[page[at]];
      continue;
    }
    ++counts.literals[257 + length_code(copy.length)];
    ++counts.distances[distance_code(copy.distance)];
  }
  for (const Piece& piece : pieces_) {
    if (piece.is_before_hole) continue;
    for (const uint8_t byte : page.subspan(size_t{piece.at} + piece.length, piece.number_length)) ++counts.literals[byte];
  }
  return counts;
}

// The header of a block: lengths of both alphabets, runs of zeros as 17 and 18.
void PageDeflater::write_header(std::span<const uint8_t> literal_lengths, std::span<const uint8_t> distance_lengths) {
  struct LengthSymbol {
    uint8_t symbol;
    uint8_t extra;
    uint8_t extra_bits;
  };
  std::vector<uint8_t> lengths(literal_lengths.begin(), literal_lengths.end());
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
  const auto put = [&](uint32_t bits, uint32_t count) {
    for (uint32_t i = 0; i < count; ++i, ++header_bits_) {
      if (((bits >> i) & 1U) != 0) header_[header_bits_ / 8] = static_cast<uint8_t>(header_[header_bits_ / 8] | 1U << (header_bits_ % 8));
    }
  };
  put(2, 2);
  put(static_cast<uint32_t>(literal_total - 257), 5);
  put(kDistances - 1, 5);
  put(static_cast<uint32_t>(told - 4), 4);
  for (size_t i = 0; i < told; ++i) put(symbol_lengths[kLengthOrder[i]], 3);
  for (const LengthSymbol& each : symbols) {
    put(symbol_codes[each.symbol].bits, symbol_codes[each.symbol].length);
    put(each.extra, each.extra_bits);
  }
}

void PageDeflater::keep(std::span<const uint8_t> page, std::span<const Found> found, std::span<const size_t> ends) {
  tokens_.clear();
  size_t next = 0;
  for (size_t i = 0; i < pieces_.size(); ++i) {
    Piece& piece = pieces_[i];
    piece.tokens_begin = static_cast<uint32_t>(tokens_.size());
    while (next < ends[i]) {
      const auto& [at, copy] = found[next++];
      if (copy.length != 0) {
        add_copy(copy.length, static_cast<uint32_t>(copy.piece), copy.offset, at - piece.at);
        continue;
      }
      size_t run = 1;
      for (; next < ends[i] && found[next].copy.length == 0; ++next) ++run;
      // Each byte has a code: it has been counted.
      static_cast<void>(add_literals(page.subspan(at, run)));
    }
    piece.tokens_end = static_cast<uint32_t>(tokens_.size());
  }
}

size_t PageDeflater::distance_of(std::span<const uint8_t> page, const Token& copy, size_t own, const Piece* before) const noexcept {
  const Piece& source = pieces_[copy.source_piece];
  if (source.page == page_number_) return own - source.at - copy.source_offset;
  // Lines of a family are much alike: the one before it may say the same in the same place.
  if (before == nullptr || copy.source_offset + copy.own_length > before->length) return SIZE_MAX;
  const size_t from = size_t{before->at} + copy.source_offset;
  return std::memcmp(page.data() + from, page.data() + own, copy.own_length) == 0 ? own - from : SIZE_MAX;
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
  const auto spell = [&](std::span<const uint8_t> text) {
    for (const uint8_t byte : text) {
      const Code code = literals_[byte];
      if (code.length == 0) return false;
      out.put(code.bits, code.length);
    }
    return true;
  };
  const Piece* before = nullptr;
  for (const uint32_t id : present_) {
    const Piece& piece = pieces_[id];
    for (size_t token = piece.tokens_begin; token < piece.tokens_end; ++token) {
      const Token& each = tokens_[token];
      if (each.source_piece == kNoCopy) {
        out.put(each.bits, each.bit_count);
        continue;
      }
      const size_t own = size_t{piece.at} + each.own_offset;
      const size_t distance = distance_of(page, each, own, before);
      if (distance > kFarthest) {
        if (!spell(page.subspan(own, each.own_length))) return false;
        continue;
      }
      out.put(each.bits, each.bit_count);
      const size_t symbol = distance_code(distance);
      const Code code = distances_[symbol];
      out.put(code.bits | uint64_t{distance - kDistanceBase[symbol]} << code.length, code.length + distance_extra(symbol));
    }
    before = &piece;
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
    if (!spell(page.subspan(number, piece.number_length))) return false;
  }
  out.put(end_of_block.bits, end_of_block.length);
  out.align();
  return true;
}

PageDeflater::Printed PageDeflater::print(std::span<const uint8_t> page, PageHole hole, std::span<uint8_t> output, GzipResult& result) noexcept {
  BitWriter out(output);
  out.bytes(kGzipHeader);
  size_t hole_at = PageHole::kNone;
  if (!write(page, hole, out, hole_at)) return Printed::no_code;
  const uint32_t crc = crc32_of(page);
  out.put(crc | uint64_t{static_cast<uint32_t>(page.size() & 0xffU)} << 32U, 40);
  out.put((page.size() & 0xffffffffU) >> 8U, 24);
  if (out.is_full()) return Printed::full;
  ++served_;
  result = {out.size(), hole_at, crc};
  return Printed::ok;
}

std::optional<GzipResult> PageDeflater::gzip(std::span<const uint8_t> page, PageHole hole, std::span<uint8_t> output) {
  cut(page, hole, seen_);
  const bool is_known_page = is_known(page);
  if (!is_known_page && !is_second() && served_ < kPaid) return std::nullopt;
  if (!is_known_page) learn(page);
  GzipResult result{};
  Printed printed = print(page, hole, output, result);
  if (printed == Printed::no_code && is_known_page) {
    learn(page);
    printed = print(page, hole, output, result);
  }
  return printed == Printed::ok ? std::optional(result) : std::nullopt;
}

std::optional<GzipResult> PageDeflater::gzip_known(std::span<const uint8_t> page, PageHole hole, std::span<uint8_t> output) noexcept {
  cut(page, hole, seen_);
  GzipResult result{};
  return is_known(page) && print(page, hole, output, result) == Printed::ok ? std::optional(result) : std::nullopt;
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
