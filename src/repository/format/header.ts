export const HEADER = 'repository.json';

/** `repository.json`, docs/format.md ("Objects"). */
export interface Header {
  tidemark: 'repository';
  format: number;
  id: string;
  created: string;
}
