/** What the command line says to every storage at once. */
export { watchStorages } from '../storage/index.ts';
