import { runThrough } from "./runThrough.ts"

runThrough("memory")
