// Transactions out of the JSON of their values.
//
// json_places(bytes) -> (begins, ends) or None
//   Where the items of a JSON array without blanks lie: int64[n] as bytes. None: no such array.
// transactions_ingest(values, keys, mode, key, said, asked, answered) -> columns or None
//   values, keys: (blocks, begins, ends): buffers, and where in these, as if they stood one after
//   another, each text lies (int64[]). Of each operation: its mode (uint8, see Mode), key, what it
//   says and what it asked for (int64: numbers of texts), and whether it says what was read (uint8).
//   columns: first, kind, key, value, start, length, elements (see Transactions), and for
//   keys and values: integers (int64, by code), codes that are none (int32), and their JSON, with a
//   comma after each. None: something unusual, ask the twin. ValueError: lengths that do not fit.
#include "bytes.hpp"
#include "transactions_json.hpp"

#include <deque>
#include <new>
#include <stdexcept>

namespace {

using namespace transactions;

bool find_places(Span span, std::vector<i64>& begins, std::vector<i64>& ends) {
  const char* at = span.begin;
  if (at == span.end || *at++ != '[') return false;
  if (at != span.end && *at == ']') return at + 1 == span.end;
  for (;;) {
    begins.push_back(at - span.begin);
    if (!skip(at, span.end) || at == span.end) return false;
    ends.push_back(at - span.begin);
    if (*at == ']') return at + 1 == span.end;
    if (*at++ != ',') return false;
  }
}

PyObject* json_places(PyObject*, PyObject* args) {
  Py_buffer data;
  if (!PyArg_ParseTuple(args, "y*", &data)) return nullptr;
  std::vector<i64> begins, ends;
  bool memory = true, found = false;
  Py_BEGIN_ALLOW_THREADS
  try {
    const char* begin = static_cast<const char*>(data.buf);
    found = find_places({begin, begin + data.len}, begins, ends);
  } catch (const std::bad_alloc&) {
    memory = false;
  } catch (const std::length_error&) {
    memory = false;
  }
  Py_END_ALLOW_THREADS
  PyBuffer_Release(&data);
  if (!memory) return PyErr_NoMemory();
  return found ? Py_BuildValue("NN", bytes_of(begins), bytes_of(ends)) : Py_NewRef(Py_None);
}

// The blocks of some texts, which are held as long as this lives.
class Blocked {
 public:
  // False with an error set.
  bool take(PyObject* tuple, Texts& texts) {
    i64 base = 0;
    for (Py_ssize_t i = 0; i < PyTuple_Size(tuple); ++i) {
      try {
        const Buffer<char>& block = held_.emplace_back(PyTuple_GetItem(tuple, i));
        if (!block) return false;
        texts.blocks.push_back({block.data(), block.data() + block.size()});
        texts.bases.push_back(base);
        base += static_cast<i64>(block.size());
      } catch (const std::bad_alloc&) {
        PyErr_NoMemory();
        return false;
      }
    }
    return true;
  }

 private:
  std::deque<Buffer<char>> held_;
};

PyObject* table_of(Codes& codes) {
  return Py_BuildValue("NNN", bytes_of(codes.integers), bytes_of(codes.places),
                       joined(codes.json()));
}

PyObject* columns_of(Ingested& found) {
  PyObject* columns[] = {
      given(found.first),    given(found.kind),    given(found.key),
      given(found.value),    given(found.start),   given(found.length),
      given(found.elements), table_of(found.keys), table_of(found.values)};
  constexpr Py_ssize_t COUNT = sizeof(columns) / sizeof(columns[0]);
  PyObject* tuple = PyTuple_New(COUNT);
  for (Py_ssize_t i = 0; i < COUNT; ++i) {
    if (tuple == nullptr || columns[i] == nullptr) {
      Py_XDECREF(columns[i]);
      Py_CLEAR(tuple);
    } else if (PyTuple_SetItem(tuple, i, columns[i]) < 0) {
      Py_CLEAR(tuple);
    }
  }
  return tuple;
}

struct Rows {
  const unsigned char* mode;
  const i64* key;
  const i64* said;
  const i64* asked;
  const unsigned char* answered;
  std::size_t count;
};

bool ingest_all(const Rows& rows, const Texts& values, const Texts& keys, Ingested& into) {
  for (std::size_t row = 0; row < rows.count; ++row) {
    Span key, said, asked;
    if (rows.mode[row] >= MODES || !keys.span(rows.key[row], key) ||
        !values.span(rows.said[row], said) || !values.span(rows.asked[row], asked)) {
      return false;
    }
    if (!into.operation(static_cast<Mode>(rows.mode[row]), rows.answered[row] != 0, key, said,
                        asked)) {
      return false;
    }
  }
  into.end();
  return true;
}

PyObject* transactions_ingest(PyObject*, PyObject* args) {
  PyObject *value_blocks, *value_begins, *value_ends, *key_blocks, *key_begins, *key_ends;
  PyObject *mode_, *key_, *said_, *asked_, *answered_;
  if (!PyArg_ParseTuple(args, "(O!OO)(O!OO)OOOOO", &PyTuple_Type, &value_blocks, &value_begins,
                        &value_ends, &PyTuple_Type, &key_blocks, &key_begins, &key_ends, &mode_,
                        &key_, &said_, &asked_, &answered_)) {
    return nullptr;
  }
  Buffer<i64> vb(value_begins), ve(value_ends), kb(key_begins), ke(key_ends);
  Buffer<unsigned char> mode(mode_), answered(answered_);
  Buffer<i64> key(key_), said(said_), asked(asked_);
  if (!vb || !ve || !kb || !ke || !mode || !answered || !key || !said || !asked) return nullptr;
  const std::size_t count = mode.size();
  if (vb.size() != ve.size() || kb.size() != ke.size() || key.size() != count ||
      said.size() != count || asked.size() != count || answered.size() != count) {
    PyErr_SetString(PyExc_ValueError, "columns of unequal length");
    return nullptr;
  }
  Texts values, keys;
  Blocked held_values, held_keys;
  if (!held_values.take(value_blocks, values) || !held_keys.take(key_blocks, keys)) return nullptr;
  values.begins = vb.data(), values.ends = ve.data(), values.count = vb.size();
  keys.begins = kb.data(), keys.ends = ke.data(), keys.count = kb.size();
  const Rows rows{mode.data(), key.data(), said.data(), asked.data(), answered.data(), count};
  bool usual = false, memory = true;
  std::unique_ptr<Ingested> found;
  Py_BEGIN_ALLOW_THREADS
  try {
    found = std::make_unique<Ingested>();
    usual = ingest_all(rows, values, keys, *found);
  } catch (const std::bad_alloc&) {
    memory = false;
  } catch (const std::length_error&) {
    memory = false;
  }
  Py_END_ALLOW_THREADS
  if (!memory) return PyErr_NoMemory();
  return usual ? columns_of(*found) : Py_NewRef(Py_None);
}

}  // namespace

PyMethodDef transactions_methods[] = {
    {"json_places", json_places, METH_VARARGS, "Where the items of a JSON array lie."},
    {"transactions_ingest", transactions_ingest, METH_VARARGS, "Transactions as columns."},
    {nullptr, nullptr, 0, nullptr}};
