// Micro-operations out of JSON, as columns. The texts are written without blanks, and equal values
// are written the same; what is not read here is left to the twin in Python.
#pragma once
#include "growing.hpp"
#include "transactions_codes.hpp"

namespace transactions {

// Texts that lie in blocks, by number.
class Texts {
 public:
  bool span(i64 number, Span& span) const {
    if (number < 0 || static_cast<u64>(number) >= count) return false;
    const i64 begin = begins[number], end = ends[number];
    if (begin < 0 || begin > end) return false;
    const auto after = std::upper_bound(bases.begin(), bases.end(), begin);
    if (after == bases.begin()) return false;
    const std::size_t at = static_cast<std::size_t>(after - bases.begin()) - 1;
    const i64 size = static_cast<i64>(blocks[at].size());
    if (end - bases[at] > size) return false;
    span = {blocks[at].begin + (begin - bases[at]), blocks[at].begin + (end - bases[at])};
    return true;
  }

  std::vector<Span> blocks;
  std::vector<i64> bases;  // where each block begins, as if they stood one after another
  const i64* begins = nullptr;
  const i64* ends = nullptr;
  std::size_t count = 0;
};

// Moves at behind one value. False: it does not end.
inline bool skip_string(const char*& at, const char* end) {
  for (++at; at != end; ++at) {
    if (*at == '"') {
      ++at;
      return true;
    }
    if (*at == '\\' && ++at == end) return false;
  }
  return false;
}
inline bool skip(const char*& at, const char* end) {
  std::size_t depth = 0;
  do {
    if (at == end) return false;
    const char c = *at;
    if (c == '"') {
      if (!skip_string(at, end)) return false;
    } else if (c == '[' || c == '{') {
      ++depth;
      ++at;
    } else if (c == ']' || c == '}') {
      if (depth == 0) return false;
      --depth;
      ++at;
    } else if (c == ',' || c == ':') {
      if (depth == 0) return false;
      ++at;
    } else {
      const char* begin = at;
      while (at != end && tokens::is(*at, tokens::SCALAR)) ++at;
      if (at == begin) return false;
    }
  } while (depth > 0);
  return true;
}

enum Kind : signed char { READ, WRITE, APPEND };
enum Mode : unsigned char { TRANSACTION, OF_READ, OF_WRITE, OF_APPEND, OF_CAS, NOTHING, MODES };
constexpr i32 LIST = -1;

class Ingested {
 public:
  // One operation: what it says (its result where that is known) and what it asked for. False:
  // leave all to the twin.
  bool operation(Mode mode, bool answered, Span key, Span said, Span asked) {
    first.push(static_cast<i64>(kind.size()));
    if (mode == NOTHING) return true;
    if (mode == TRANSACTION || is_transaction(said)) return transaction(said, answered);
    switch (mode) {
      case OF_READ: return single(READ, answered, key, said);
      case OF_WRITE: return single(WRITE, answered, key, asked);
      case OF_APPEND: return single(APPEND, answered, key, asked);
      default: return compare_and_set(answered, key, said, asked);
    }
  }
  void end() { first.push(static_cast<i64>(kind.size())); }

  Growing<i64> first, start;
  Growing<signed char> kind;
  Growing<i32> key, value, length, elements;
  Codes keys, values;

 private:
  static bool take(const char*& at, const char* end, char c) {
    if (at == end || *at != c) return false;
    ++at;
    return true;
  }
  static bool named(const char*& at, const char* end, Kind& kind) {
    static constexpr std::string_view NAMES[] = {"[\"r\",", "[\"w\",", "[\"append\","};
    for (int i = 0; i < 3; ++i) {
      const std::string_view name = NAMES[i];
      if (static_cast<std::size_t>(end - at) >= name.size() &&
          std::memcmp(at, name.data(), name.size()) == 0) {
        at += name.size();
        kind = static_cast<Kind>(i);
        return true;
      }
    }
    return false;
  }
  // Whether it is a list of one micro-operation or more: that is a transaction, whatever its name.
  static bool is_transaction(Span span) {
    const char* at = span.begin;
    if (!take(at, span.end, '[')) return false;
    do {
      Kind kind;
      if (!named(at, span.end, kind) || !skip(at, span.end)) return false;
      if (take(at, span.end, ',')) {
        if (!skip(at, span.end)) return false;
      } else if (kind != READ) {
        return false;
      }
      if (!take(at, span.end, ']')) return false;
    } while (take(at, span.end, ','));
    return take(at, span.end, ']') && at == span.end;
  }
  bool transaction(Span span, bool answered) {
    const char* at = span.begin;
    if (!take(at, span.end, '[')) return false;
    if (take(at, span.end, ']')) return at == span.end;
    do {
      if (!micro_operation(at, span.end, answered)) return false;
    } while (take(at, span.end, ','));
    return take(at, span.end, ']') && at == span.end;
  }
  bool micro_operation(const char*& at, const char* end, bool answered) {
    Kind found;
    if (!named(at, end, found)) return false;
    if (found == READ && !answered) {
      if (!skip(at, end)) return false;
      if (take(at, end, ',') && !skip(at, end)) return false;
      return take(at, end, ']');
    }
    if (!begin(found, at, end)) return false;
    if (take(at, end, ',')) {
      if (!finish(found, at, end)) return false;
    } else if (found == READ) {
      finish(0);
    } else {
      return false;
    }
    return take(at, end, ']');
  }
  bool single(Kind found, bool answered, Span key_, Span said) {
    if (found == READ && !answered) return true;
    const char* at = key_.begin;
    if (!begin(found, at, key_.end) || at != key_.end) return false;
    at = said.begin;
    return finish(found, at, said.end) && at == said.end;
  }
  bool compare_and_set(bool answered, Span key_, Span said, Span asked) {
    const char* at = asked.begin;
    if (!take(at, asked.end, '[')) return false;
    Span old{at, nullptr}, fresh;
    if (!skip(at, asked.end)) return false;
    old.end = at;
    if (!take(at, asked.end, ',')) return false;
    fresh.begin = at;
    if (!skip(at, asked.end)) return false;
    fresh.end = at;
    if (!take(at, asked.end, ']') || at != asked.end) return false;
    if (answered && said.is("false")) return true;  // it found another value, and wrote nothing
    return single(READ, answered, key_, old) && single(WRITE, answered, key_, fresh);
  }

  // A micro-operation up to its key, and the rest of it.
  bool begin(Kind found, const char*& at, const char* end) {
    i32 code;
    if (!coded(keys, at, end, code)) return false;
    kind.push(found);
    key.push(code);
    start.push(static_cast<i64>(count_));
    return true;
  }
  void finish(i32 code, i32 count = 0) {
    value.push(code);
    length.push(count);
  }
  bool finish(Kind found, const char*& at, const char* end) {
    i32 code;
    if (found != READ || at == end || *at != '[') {
      if (!coded(values, at, end, code)) return false;
      finish(code);
      return true;
    }
    ++at;
    const std::size_t before = count_;
    if (!take(at, end, ']')) {
      do {
        if (!coded(values, at, end, code)) return false;
        elements.push(code);
        ++count_;
      } while (take(at, end, ','));
      if (!take(at, end, ']')) return false;
    }
    if (count_ - before > static_cast<std::size_t>(std::numeric_limits<i32>::max())) return false;
    finish(LIST, static_cast<i32>(count_ - before));
    return true;
  }

  static bool coded(Codes& codes, const char*& at, const char* end, i32& code) {
    if (at == end) return false;
    const char* const begin = at;
    const bool minus = *at == '-';
    const char* digits = at + (minus ? 1 : 0);
    const char* stop = digits;
    i64 number = 0;
    while (stop != end && *stop >= '0' && *stop <= '9' && stop - digits < 18) {
      number = 10 * number + (*stop++ - '0');
    }
    if (stop != digits && (stop == end || *stop == ',' || *stop == ']')) {
      if (*digits == '0' && (minus || stop - digits > 1)) return false;
      at = stop;
      code = codes.integer(minus ? -number : number);
      return code != FULL;
    }
    if (!skip(at, end)) return false;
    const Span span{begin, at};
    if (span.is("-0.0")) return false;  // it equals 0.0
    code = span.is("null") ? 0 : codes.text(span);
    return code != FULL;
  }

  std::size_t count_ = 0;
};

}  // namespace transactions
