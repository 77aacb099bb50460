// Histories of sessions of transactions over registers, in the texts of Plume and AWDIT.
//
// sessions_read(format, bytes) -> (write, key, value, session, transaction) or None
//   format: 0 for lines like r(key,value,session,transaction), 1 for lines like r key value with
//   lines of - between transactions and of = between sessions. write: uint8[n]; the others int64[n],
//   as bytes. In format 1 sessions and transactions are counted, but for those without lines.
//   None: something unusual, read it in Python.
// sessions_values(write, key, value, initial, first) -> (codes, sizes, blocks)
//   The transactions first[t]:first[t + 1] (int64[n + 1]) of such columns as JSON: what each asks
//   for, and what it says. codes: int32[2n], of these in turn, from 1 in order of appearance; equal
//   texts have equal codes. sizes, blocks: as tokens_tables has them. initial (uint8): the initial
//   value was read, null. ValueError: columns that do not fit.
#include "bytes.hpp"
#include "tokens_table.hpp"

#include <charconv>
#include <limits>
#include <new>
#include <stdexcept>

namespace {

using tokens::i32;
using tokens::i64;
using tokens::Span;
using tokens::Table;

struct Columns {
  Growing<unsigned char> write;
  Growing<i64> key, value, session, transaction;
  void push(bool is_write, i64 key_, i64 value_, i64 session_, i64 transaction_) {
    write.push(is_write);
    key.push(key_);
    value.push(value_);
    session.push(session_);
    transaction.push(transaction_);
  }
};

bool blank(char c) { return c == ' ' || c == '\t' || c == '\r'; }
bool take(const char*& at, const char* end, char c) {
  if (at == end || *at != c) return false;
  ++at;
  return true;
}
bool number(const char*& at, const char* end, i64& value) {
  if (at == end || *at < '0' || *at > '9') return false;
  const auto [stop, error] = std::from_chars(at, end, value);
  at = stop;
  return error == std::errc();
}
// Also -1.
bool number_or_none(const char*& at, const char* end, i64& value) {
  if (!take(at, end, '-')) return number(at, end, value);
  value = -1;
  return take(at, end, '1');
}
bool kind(const char*& at, const char* end, bool& is_write) {
  if (at == end || (*at != 'r' && *at != 'w')) return false;
  is_write = *at++ == 'w';
  return true;
}

class Plume {
 public:
  bool line(const char* at, const char* end, Columns& into) {
    bool is_write;
    i64 key, value, session, transaction;
    if (!kind(at, end, is_write) || !take(at, end, '(') || !number(at, end, key) ||
        !take(at, end, ',') || !number(at, end, value) || !take(at, end, ',') ||
        !number_or_none(at, end, session) || !take(at, end, ',') ||
        !number_or_none(at, end, transaction) || !take(at, end, ')') || at != end) {
      return false;
    }
    if (session < 0 && transaction >= 0) return false;
    into.push(is_write, key, value, session, transaction);
    return true;
  }
};

class Awdit {
 public:
  bool line(const char* at, const char* end, Columns& into) {
    if (*at == '-' || *at == '=') return separator(at, end);
    bool is_write;
    i64 key, value;
    if (!kind(at, end, is_write) || !blanks(at, end) || !number(at, end, key) ||
        !blanks(at, end) || !number(at, end, value) || at != end) {
      return false;
    }
    if (new_session_) ++session_;
    if (new_session_ || new_transaction_) ++transaction_;
    new_session_ = new_transaction_ = false;
    into.push(is_write, key, value, session_, transaction_);
    return true;
  }

 private:
  static bool blanks(const char*& at, const char* end) {
    const char* begin = at;
    while (at != end && blank(*at)) ++at;
    return at != begin;
  }
  bool separator(const char* at, const char* end) {
    const char c = *at;
    while (at != end && *at == c) ++at;
    (c == '=' ? new_session_ : new_transaction_) = true;
    return at == end;
  }

  i64 session_ = -1, transaction_ = -1;
  bool new_session_ = true, new_transaction_ = true;
};

// All lines, without the blanks around them; empty ones are passed over.
template <typename Format>
bool read_lines(Span text, Columns& into) {
  Format format;
  for (const char* at = text.begin; at != text.end;) {
    const auto left = static_cast<std::size_t>(text.end - at);
    const char* stop = static_cast<const char*>(std::memchr(at, '\n', left));
    if (stop == nullptr) stop = text.end;
    const char* begin = at;
    const char* end = stop;
    while (begin != end && blank(*begin)) ++begin;
    while (begin != end && blank(end[-1])) --end;
    if (begin != end && !format.line(begin, end, into)) return false;
    at = stop == text.end ? stop : stop + 1;
  }
  return true;
}

PyObject* sessions_read(PyObject*, PyObject* args) {
  int format;
  Py_buffer data;
  if (!PyArg_ParseTuple(args, "iy*", &format, &data)) return nullptr;
  Columns columns;
  bool usual = false, memory = true;
  Py_BEGIN_ALLOW_THREADS
  try {
    const char* begin = static_cast<const char*>(data.buf);
    const Span text{begin, begin + data.len};
    usual = format == 0 ? read_lines<Plume>(text, columns) : read_lines<Awdit>(text, columns);
  } catch (const std::bad_alloc&) {
    memory = false;
  } catch (const std::length_error&) {
    memory = false;
  }
  Py_END_ALLOW_THREADS
  PyBuffer_Release(&data);
  if (!memory) return PyErr_NoMemory();
  if (!usual) return Py_NewRef(Py_None);
  return Py_BuildValue("NNNNN", given(columns.write), given(columns.key),
                       given(columns.value), given(columns.session),
                       given(columns.transaction));
}

// --- values ---------------------------------------------------------------------------------

struct Rows {
  const unsigned char* write;
  const i64* key;
  const i64* value;
  const unsigned char* initial;
};

class Writer {
 public:
  Table table{','};
  std::vector<i32> codes;
  std::vector<i64> sizes;

  // False: there is no room for another.
  bool transaction(const Rows& rows, i64 begin, i64 end) {
    return value(rows, begin, end, false) && value(rows, begin, end, true);
  }

 private:
  // The longest is ["w",-9223372036854775808,-9223372036854775808] and a comma.
  static constexpr std::size_t LONGEST = 64;

  bool value(const Rows& rows, i64 begin, i64 end, bool said) {
    const std::size_t most = LONGEST * (static_cast<std::size_t>(end - begin) + 1);
    if (text_.size() < most) text_.resize(2 * most);
    char* to = text_.data();
    *to++ = '[';
    for (i64 row = begin; row != end; ++row) {
      if (row != begin) *to++ = ',';
      const bool write = rows.write[row] != 0;
      to = copy(to, write ? "[\"w\"," : "[\"r\",", 5);
      to = std::to_chars(to, to + 24, rows.key[row]).ptr;
      *to++ = ',';
      if (write || (said && rows.initial[row] == 0)) {
        to = std::to_chars(to, to + 24, rows.value[row]).ptr;
      } else {
        to = copy(to, "null", 4);
      }
      *to++ = ']';
    }
    *to++ = ']';
    bool fresh = false;
    const i32 code = table.code({text_.data(), to}, fresh, true);
    codes.push_back(code);
    if (fresh) sizes.push_back(to - text_.data());
    return code != 0;
  }
  static char* copy(char* to, const char* from, std::size_t size) {
    std::memcpy(to, from, size);
    return to + size;
  }

  std::vector<char> text_;
};

bool fits(const i64* first, std::size_t count, std::size_t rows) {
  if (count == 0 || first[0] != 0 || first[count - 1] != static_cast<i64>(rows)) return false;
  for (std::size_t t = 1; t < count; ++t) {
    if (first[t] < first[t - 1]) return false;
  }
  return true;
}

PyObject* sessions_values(PyObject*, PyObject* args) {
  PyObject *write_, *key_, *value_, *initial_, *first_;
  if (!PyArg_ParseTuple(args, "OOOOO", &write_, &key_, &value_, &initial_, &first_)) return nullptr;
  Buffer<unsigned char> write(write_), initial(initial_);
  Buffer<i64> key(key_), value(value_), first(first_);
  if (!write || !initial || !key || !value || !first) return nullptr;
  const std::size_t count = write.size();
  if (initial.size() != count || key.size() != count || value.size() != count ||
      !fits(first.data(), first.size(), count)) {
    PyErr_SetString(PyExc_ValueError, "columns that do not fit");
    return nullptr;
  }
  const Rows rows{write.data(), key.data(), value.data(), initial.data()};
  Writer writer;
  bool memory = true;
  Py_BEGIN_ALLOW_THREADS
  try {
    for (std::size_t t = 1; memory && t < first.size(); ++t) {
      memory = writer.transaction(rows, first.data()[t - 1], first.data()[t]);
    }
  } catch (const std::bad_alloc&) {
    memory = false;
  } catch (const std::length_error&) {
    memory = false;
  }
  Py_END_ALLOW_THREADS
  if (!memory) return PyErr_NoMemory();
  writer.table.forget();
  return Py_BuildValue("NNN", bytes_of(writer.codes), bytes_of(writer.sizes),
                       given(writer.table.deferred_text));
}

}  // namespace

PyMethodDef sessions_methods[] = {
    {"sessions_read", sessions_read, METH_VARARGS, "Reads and writes of a text, as columns."},
    {"sessions_values", sessions_values, METH_VARARGS, "Transactions of columns, as JSON."},
    {nullptr, nullptr, 0, nullptr}};
