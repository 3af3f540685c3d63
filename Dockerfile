FROM node:20-bookworm AS build
WORKDIR /opt/exporterd
COPY package.json package-lock.json tsconfig.json ./
# Not the folder: readers that were built outside may not load here.
COPY native-readers/build.sh native-readers/
COPY native-readers/src native-readers/src
# Tests and benches are only here because the compiler takes the project as one.
COPY src src
COPY test test
COPY bench bench
COPY tools tools
RUN npm ci \
  && npm prune --omit=dev --ignore-scripts \
  && find dist -name '*.test.js' -delete

FROM node:20-bookworm-slim
WORKDIR /opt/exporterd
COPY --from=build /opt/exporterd/package.json ./
COPY --from=build /opt/exporterd/node_modules node_modules
COPY --from=build /opt/exporterd/native-readers/build native-readers/build
COPY --from=build /opt/exporterd/dist/src dist/src
USER 65534:65534
EXPOSE 9100
HEALTHCHECK --interval=30s --timeout=3s --start-period=10s \
  CMD ["node", "-e", "fetch('http://127.0.0.1:9100/-/healthy').then((answer) => process.exit(answer.ok ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT ["node", "--single-threaded-gc", "--no-memory-reducer", "dist/src/main.js"]
