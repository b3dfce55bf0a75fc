# Hooklane's services and command line, from a checkout:
#
#   docker build --tag hooklane:0.1.0 .
#   docker run --rm hooklane:0.1.0 --help
#
# The steps are in requirements/image.sh, so that they can be run, and are tested, without Docker.
ARG PYTHON=3.13-slim-bookworm

FROM python:${PYTHON} AS build
WORKDIR /src
COPY . .
RUN sh requirements/image.sh /src /opt/hooklane

FROM python:${PYTHON}
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="Hooklane" \
      org.opencontainers.image.description="Events in Kafka become webhooks, in order per key." \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
COPY --from=build /opt/hooklane /opt/hooklane
ENV PATH=/opt/hooklane/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1
# The retrier's spool is here where no setting says otherwise; everything else is read-only.
WORKDIR /var/lib/hooklane
RUN chown 10001:10001 /var/lib/hooklane
USER 10001:10001
EXPOSE 8080
ENTRYPOINT ["hooklane"]
CMD ["--help"]
