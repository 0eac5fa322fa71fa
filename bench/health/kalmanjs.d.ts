/** npm `kalmanjs` has no declarations. Its names are turned round: `R` is the noise of the process, `Q` of measurements. */
declare module 'kalmanjs' {
  export default class KalmanFilter {
    constructor(options?: { R?: number; Q?: number })
    filter(measurement: number): number
  }
}
