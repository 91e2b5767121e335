/** The C kernels of native/, compiled for WebAssembly, and their memory. */

/** What the module exports; 64-bit integers are bigint. */
interface Exports {
  memory: WebAssembly.Memory;
  web_alloc(count: number): number;
  web_mark(): number;
  web_reset(mark: number): void;
  web_sha256(state: number, data: number, blocks: number): void;
  intact_intnet_layout(): number;
  intact_intnet_run(
    ops: number, count: number, slots: number, width: bigint, begin: bigint, end: bigint, chunk: bigint,
    scratch: number, zeros: number, isa: number,
  ): number;
  intact_rans_decode(
    payload: number, size: bigint, cursor: number, states: number, lanes: number, indexes: number, count: bigint,
    buckets: number, entries: number, values: number, descriptors: number, tables: bigint, symbols: number,
  ): number;
  intact_unpack(
    blob: number, size: bigint, rows: bigint, mostTables: number, count: bigint, bits: number, target: number,
  ): number;
}

type Typed = Int8Array | Uint8Array | Int16Array | Uint16Array | Int32Array | Uint32Array | Float32Array | Float64Array;

/** Sizes of the structures of native/intnet.h with pointers of four bytes. */
export const OP_BYTES = 100;
export const SLOT_BYTES = 40;

/** One instance of the module, with memory of its own. */
export class Native {
  readonly c: Exports;

  constructor(module: WebAssembly.Module) {
    this.c = new WebAssembly.Instance(module).exports as unknown as Exports;
    if (this.c.intact_intnet_layout() !== OP_BYTES * 1024 + SLOT_BYTES) {
      throw new Error("the WebAssembly kernels are of another version than this decoder");
    }
  }

  /** Memory on a border of 16 bytes; its content is anything. */
  alloc(bytes: number): number {
    const place = bytes < 2 ** 32 ? this.c.web_alloc(bytes) : 0;
    if (place === 0) throw new RangeError(`no memory for ${bytes} bytes more`);
    return place;
  }

  /** A copy of an array in the module's memory. */
  put(array: Typed): number {
    const place = this.alloc(array.byteLength);
    this.bytes(place, array.byteLength).set(new Uint8Array(array.buffer, array.byteOffset, array.byteLength));
    return place;
  }

  /** Views are dead after the next `alloc`. */
  bytes(place: number, count: number): Uint8Array {
    return new Uint8Array(this.c.memory.buffer, place, count);
  }

  int16(place: number, count: number): Int16Array {
    return new Int16Array(this.c.memory.buffer, place, count);
  }

  int32(place: number, count: number): Int32Array {
    return new Int32Array(this.c.memory.buffer, place, count);
  }

  view(place: number, count: number): DataView {
    return new DataView(this.c.memory.buffer, place, count);
  }
}
