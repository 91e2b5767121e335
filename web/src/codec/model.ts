/** A model from its file, checked as docs/spec/image.md, image2.md, hyperprior.md and vector.md, section 1, demand. */

import { Bank } from "../bits/tables.js";
import { readModelFile, type Faster } from "../container/model_file.js";
import { TreeArray, type Tree } from "../container/tree.js";
import { badModel, IntactError, quoted } from "../errors.js";
import { checkBounds } from "../intnet/bounds.js";
import { checkCosts } from "../intnet/cost.js";
import { readProgram, type Program } from "../intnet/program.js";
import { checkerboardRoles, checkRoles, hyperpriorRoles, vectorRoles, type Role } from "../intnet/roles.js";
import { fields, integer, integers, text, within, type Fields } from "../untrusted.js";

export const NUM_SCALES = 64;

export type KindName = "image codec 1" | "image codec 2" | "hyperprior" | "vector";

export interface Model {
  /** 32 hexadecimal digits. */
  id: string;
  name: string;
  info: Map<string, string>;
  kind: KindName;
  programs: Map<string, Program>;
  roles: Role[];
  /** Channels of latents and hyper-latents; `hyper` is 0 in a model without. */
  latents: number;
  hyper: number;
  tablesY: Bank;
  tablesZ: Bank | null;
  skip: number;
  predicted: number;
  /** [8, predicted], image codec 2 alone. */
  stages: Int32Array;
  levels: Levels;
  /** The kind vector alone. */
  slots: Slots | null;
}

/** A latent of the kind vector: `count` symbols, each of which stands for `numbers` channels. */
export interface Slots {
  count: number;
  centers: number;
  numbers: number;
  /** [1 or count, centers, numbers]. */
  codebook: Int32Array;
  shared: boolean;
  /** [count, centers]. */
  order: Int32Array;
}

/** Rows by level. `steps` and `shifts` have a column, or M of them; `hyperSteps` and `bands` are of image codec 2. */
export interface Levels {
  count: number;
  parameters: Int32Array;
  steps: Int32Array;
  shifts: Int32Array;
  hyperSteps: Int32Array;
  bands: Int32Array;
}

const COMMON = ["format", "name", "info", "programs"];
const KEYS: Record<KindName, string[]> = {
  "image codec 1": ["tables_y", "tables_z", "skip", "predicted", "levels"],
  "image codec 2": ["tables_y", "tables_z", "skip", "predicted", "stages", "levels"],
  hyperprior: ["profile", "networks", "tables_y", "tables_z", "levels"],
  vector: ["codebook", "order", "tables", "decision"],
};

/** Read a model file of unknown origin. */
export function readModel(bytes: Uint8Array, fast?: Faster): Model {
  const { id, tree } = readModelFile(bytes, fast);
  const format = tree instanceof Map ? tree.get("format") : undefined;
  if (typeof format !== "string" || !Object.hasOwn(KEYS, format)) {
    throw badModel(`the model is of no kind that there is: ${format instanceof TreeArray ? "an array" : quoted(format)}`);
  }
  const kind = format as KindName;
  const top = fields(tree, [...COMMON, ...KEYS[kind]], "the model");
  const info = top.get("info");
  if (!(info instanceof Map)) throw badModel("the model's info is no map");
  const model: Model = {
    id,
    kind,
    name: text(top.get("name"), "the model's name"),
    info: new Map([...info].map(([key, value]) => [key, text(value, `the model's info ${quoted(key)}`)])),
    programs: new Map(),
    roles: [],
    latents: 0,
    hyper: 0,
    tablesY: kind === "vector" ? bank(top.get("tables"), "tables") : bank(top.get("tables_y"), "tables_y"),
    tablesZ: null,
    skip: 0,
    predicted: 0,
    stages: new Int32Array(0),
    levels: { count: 0, ...NO_LEVELS },
    slots: null,
  };
  if (kind === "hyperprior") readHyperprior(model, top);
  else if (kind === "vector") readVector(model, top);
  else readCheckerboard(model, top);
  checkCosts(model.roles.map((role) => [role.name, model.programs.get(role.name)!, role.inputs[0]!.px]));
  for (const [role, program] of model.programs) checkBounds(program, role);
  return model;
}

const NO_LEVELS = {
  parameters: new Int32Array(0), steps: new Int32Array(0), shifts: new Int32Array(0),
  hyperSteps: new Int32Array(0), bands: new Int32Array(0),
};

function readPrograms(model: Model, top: Fields, roles: Role[]): void {
  const tree = fields(top.get("programs"), roles.map((role) => role.name), "the model's programs");
  for (const role of roles) model.programs.set(role.name, readProgram(tree.get(role.name), role.name));
  const letters = checkRoles(model.programs, roles);
  model.roles = roles;
  model.latents = letters.get("M")!;
  model.hyper = letters.get("N") ?? 0;
  if (model.hyper > 256) throw badModel(`the model has ${model.hyper} channels of hyper-latents, at most 256`);
}

function readCheckerboard(model: Model, top: Fields): void {
  const two = model.kind === "image codec 2";
  model.tablesZ = bank(top.get("tables_z"), "tables_z");
  model.skip = integer(top.get("skip"), "the model's skip", 0, NUM_SCALES - 1);
  readPrograms(model, top, checkerboardRoles(two ? 16 : 8));
  const { latents, hyper } = model;
  model.predicted = integer(top.get("predicted"), "the model's predicted", 0, Math.min(latents, 16));
  count(model.tablesY, NUM_SCALES, "tables_y");
  if (!two) {
    model.levels = plainLevels(top.get("levels"));
    count(model.tablesZ, hyper, "tables_z");
    return;
  }
  const tree = fields(top.get("levels"), ["parameters", "bands", "steps", "shifts", "hyper_steps"], "the model's levels");
  const parameters = row(tree.get("parameters"), "parameters", -127, 127);
  const levels = parameters.length;
  const table = (key: string, low: number, high: number, ...columns: number[]) =>
    within(integers(tree.get(key), "int32", `the model's ${key}`, [levels, ...columns]), low, high, `the model's ${key}`);
  model.levels = {
    count: levels,
    parameters,
    bands: table("bands", 0, 15),
    steps: table("steps", 1, 32767, latents),
    shifts: table("shifts", -1023, 1023, latents),
    hyperSteps: table("hyper_steps", 1, 32767, hyper),
  };
  const bands = model.levels.bands.reduce((a, b) => Math.max(a, b)) + 1;
  count(model.tablesZ, bands * hyper, "tables_z");
  const stages = integers(top.get("stages"), "int32", "the model's stages", [8, model.predicted]);
  model.stages = within(stages, -255, 255, "the model's stages");
}

function readHyperprior(model: Model, top: Fields): void {
  const profile = text(top.get("profile"), "the model's profile");
  if (profile === "prior" || profile === "float") {
    throw new IntactError("inexact", `the model ${quoted(model.name)} computes in floating point (profile ${profile}): its pictures differ from machine to machine, so this decoder does not show them`);
  }
  if (profile !== "exact") throw badModel(`the model's profile is ${quoted(profile)}`);
  fields(top.get("networks"), [], "the model's networks");
  const tables = top.get("tables_z");
  const hasHyper = !(tables instanceof Map && tables.size === 0);
  readPrograms(model, top, hyperpriorRoles(hasHyper));
  model.levels = plainLevels(top.get("levels"));
  if (!hasHyper) {
    count(model.tablesY, model.latents, "tables_y");
    return;
  }
  model.tablesZ = bank(tables, "tables_z");
  count(model.tablesZ, model.hyper, "tables_z");
  if (model.tablesY.count < 2 || model.tablesY.count > 256) throw badModel(`tables_y has ${model.tablesY.count} tables, legal: 2..256`);
}

function readVector(model: Model, top: Fields): void {
  const decision = text(top.get("decision"), "the model's decision");
  if (decision !== "nearest" && decision !== "largest") throw badModel(`the model's decision is ${quoted(decision)}`);
  const shapes = ["codebook", "order"].map((key) => {
    const array = top.get(key);
    return array instanceof TreeArray ? array.shape : [];
  });
  const [books, centers, numbers] = shapes[0]!;
  const [rows, ranks] = shapes[1]!;
  if (shapes[0]!.length !== 3 || shapes[1]!.length !== 2) throw badModel("the model's codebook or order has not its axes");
  const slots = rows!;
  if (centers! < 2 || centers! > 4096 || numbers! < 1 || numbers! > 64) {
    throw badModel(`the model has ${centers} centers of ${numbers} numbers`);
  }
  if (slots < 1 || ranks !== centers || (books !== 1 && books !== slots)) throw badModel("the model's codebook and order do not fit");
  const order = integers(top.get("order"), "int16", "the model's order");
  for (let slot = 0; slot < slots; slot++) {
    const row = order.slice(slot * centers!, (slot + 1) * centers!).sort();
    if (row.some((center, i) => center !== i)) throw badModel(`row ${slot} of the model's order is no permutation`);
  }
  const codebook = integers(top.get("codebook"), "int16", "the model's codebook");
  model.slots = { count: slots, centers: centers!, numbers: numbers!, codebook, shared: books === 1, order };
  model.levels = { ...NO_LEVELS, count: 1, parameters: new Int32Array(1) };
  count(model.tablesY, slots, "tables");
  readPrograms(model, top, vectorRoles(decision === "largest"));
  const logits = model.programs.get("analysis")!.infos.get("y")!.channels;
  if (model.latents !== slots * numbers! || logits !== slots * (decision === "largest" ? centers! : numbers!)) {
    throw badModel(`the model's latents have ${model.latents} channels, its analysis gives ${logits}: not those of ${slots} slots`);
  }
}

function plainLevels(value: Tree | undefined): Levels {
  const tree = fields(value, ["steps", "shifts", "parameters", "offsets"], "the model's levels");
  const steps = row(tree.get("steps"), "steps", 1, 32767);
  const same = (key: string, low: number, high: number) => {
    const values = row(tree.get(key), key, low, high);
    if (values.length !== steps.length) throw badModel("the rows of the model's levels differ in length");
    return values;
  };
  const offsets = same("offsets", 0, 32767);
  if (offsets.some((offset, i) => offset > Math.floor(steps[i]! / 2))) throw badModel("an offset is above half a step");
  return {
    ...NO_LEVELS, count: steps.length, steps, shifts: same("shifts", -255, 255), parameters: same("parameters", -127, 127),
  };
}

function row(value: Tree | undefined, key: string, low: number, high: number): Int32Array {
  const what = `the model's ${key}`;
  const values = within(integers(value, "int32", what), low, high, what);
  if (!(value instanceof TreeArray) || value.shape.length !== 1 || values.length < 1 || values.length > 64) {
    throw badModel(`${what}: not 1..64 levels`);
  }
  return values;
}

function bank(value: Tree | undefined, what: string): Bank {
  const tree = fields(value, ["minimums", "sizes", "freqs"], what);
  for (const [key, array] of tree) {
    if (array instanceof TreeArray && array.shape.length !== 1) throw badModel(`${what}: ${key} has not one axis`);
  }
  return new Bank(
    integers(tree.get("minimums"), "int32", `${what}: minimums`),
    integers(tree.get("sizes"), "int32", `${what}: sizes`),
    integers(tree.get("freqs"), "int16", `${what}: freqs`),
  );
}

function count(tables: Bank, wanted: number, what: string): void {
  if (tables.count !== wanted) throw badModel(`${what} has ${tables.count} tables, wanted ${wanted}`);
}
