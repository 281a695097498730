import { stepsConflict } from '../../postgres/archive/passes.ts';
import type { PlanStep } from '../../postgres/archive/planStep.ts';

/** One piece of work of a step: a part of a table's rows, or the step's statements. */
export interface Task<T> {
  step: PlanStep;
  work: T;
}

export interface Stage<T> {
  step: PlanStep;
  /** What the step consists of; a step without tasks is done at once. */
  tasks: T[];
  /** Heavier steps go first where there is a choice. */
  weight: number;
}

/**
 * Hands out the tasks of steps: a step's tasks once all that the step needs is done, never beside a step it conflicts
 * with; what weighs most first, and of equal weight what stands first in the archive.
 */
export class Schedule<T> {
  readonly #waiting: Stage<T>[];
  readonly #pending = new Set<number>();
  readonly #running = new Map<number, { step: PlanStep; left: number; weight: number; postponed: T[] }>();
  /** Tasks of steps that were started and are not handed out yet. */
  readonly #tasks: Task<T>[] = [];

  constructor(stages: Stage<T>[]) {
    this.#waiting = [...stages].sort((a, b) => b.weight - a.weight);
    for (const stage of stages) this.#pending.add(stage.step.entry.dumpId);
  }

  get finished(): boolean {
    return this.#pending.size === 0;
  }

  /** A task that can run now, beside all that are running. */
  next(): Task<T> | undefined {
    while (this.#tasks.length === 0) if (!this.#start()) return undefined;
    return this.#tasks.shift();
  }

  done(task: Task<T>): void {
    this.#settle(task);
  }

  /** The task is handed out again, with others of its step that were postponed, once what the step now needs is done. */
  postpone(task: Task<T>): void {
    this.#running.get(task.step.entry.dumpId)!.postponed.push(task.work);
    this.#settle(task);
  }

  #settle({ step }: Task<T>): void {
    const id = step.entry.dumpId;
    const running = this.#running.get(id)!;
    if (--running.left > 0) return;
    this.#running.delete(id);
    if (running.postponed.length === 0) this.#pending.delete(id);
    else this.#waiting.push({ step, tasks: running.postponed, weight: running.weight });
  }

  #start(): boolean {
    const running = [...this.#running.values()];
    for (let i = 0; i < this.#waiting.length; i++) {
      const { step, tasks, weight } = this.#waiting[i]!;
      if (!step.needs.isDisjointFrom(this.#pending)) continue;
      if (running.some(other => stepsConflict(step, other.step))) continue;
      this.#waiting.splice(i, 1);
      if (tasks.length === 0) this.#pending.delete(step.entry.dumpId);
      else {
        this.#running.set(step.entry.dumpId, { step, left: tasks.length, weight, postponed: [] });
        this.#tasks.push(...tasks.map(work => ({ step, work })));
      }
      return true;
    }
    return false;
  }
}
