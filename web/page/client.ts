/** The page's side of the worker: promises, progress, and a way to stop. */

import type { Answer, Failure, Request } from "./protocol.js";

/** What the worker says went wrong; `message` is a sentence. */
export class Refused extends Error {
  constructor(readonly failure: Failure) {
    super(failure.message);
  }
}

interface Waiting {
  resolve(value: unknown): void;
  reject(error: Error): void;
  progress?: ((share: number) => void) | undefined;
}

export class Client {
  /** Null after it was ended, until it is needed again. */
  private worker: Worker | null;
  private waiting = new Map<number, Waiting>();
  private next = 0;
  /** Models that were dropped; a new worker gets them, too. */
  private models: Uint8Array[] = [];

  constructor() {
    this.worker = this.start();
  }

  private start(): Worker {
    const worker = new Worker("worker.js", { type: "module" });
    worker.onmessage = ({ data }: MessageEvent<Answer>) => {
      const waiting = this.waiting.get(data.number);
      if (waiting === undefined) return;
      if ("progress" in data) {
        waiting.progress?.(data.progress);
        return;
      }
      this.waiting.delete(data.number);
      if ("failure" in data) waiting.reject(new Refused(data.failure));
      else waiting.resolve(data.result);
    };
    worker.onerror = (event) => {
      event.preventDefault();
      this.end({ verdict: "bug", message: "The decoder could not be started, or was ended by the browser." });
    };
    for (const bytes of this.models) worker.postMessage({ number: this.next++, request: { type: "model", bytes } });
    return worker;
  }

  /** End the worker; everything that was asked for fails. */
  private end(failure: Failure): void {
    this.worker?.terminate();
    this.worker = null;
    const all = [...this.waiting.values()];
    this.waiting.clear();
    for (const { reject } of all) reject(new Refused(failure));
  }

  ask<T>(request: Request, progress?: (share: number) => void): Promise<T> {
    const number = this.next++;
    return new Promise<T>((resolve, reject) => {
      this.waiting.set(number, { resolve: resolve as (value: unknown) => void, reject, progress });
      this.worker ??= this.start();
      this.worker.postMessage({ number, request });
    });
  }

  async addModel(bytes: Uint8Array): Promise<{ id: string; name: string }> {
    const found = await this.ask<{ id: string; name: string }>({ type: "model", bytes });
    this.models.push(bytes);
    return found;
  }

  /** End what is going on. */
  stop(): void {
    this.end({ verdict: "stopped", message: "Stopped." });
  }
}
